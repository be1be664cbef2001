"""Frames that are to start AMCL: three in a row that are where the robot can be, by odometry where there is one."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from transposenet_core.geometry.pose import Pose
from transposenet_ros.output.agreement import AgreeingFrames, BaseEstimate

SIGMA_66 = np.diag(np.square([0.05, 0.05, 0.05, 0.01, 0.01, 0.01]))


def base(x_m: float, yaw_deg: float = 0.0) -> Pose:
    return Pose(np.array([x_m, 2.0, 0.0]), Rotation.from_euler("z", yaw_deg, degrees=True).as_quat(scalar_first=True))


def frame(
    seconds: float, x_m: float, yaw_deg: float = 0.0, odometry: Pose | None = None, map_frame: str = "map"
) -> BaseEstimate:
    return BaseEstimate(round(seconds * 1e9), map_frame, base(x_m, yaw_deg), SIGMA_66, odometry)


def suffices(*frames: BaseEstimate) -> list[bool]:
    """For each frame whether it and those before it are enough."""
    agreeing = AgreeingFrames()
    return [not agreeing.add(each) for each in frames]


def test_n38_three_frames_of_a_robot_that_stands_or_drives_agree() -> None:
    assert suffices(*(frame(0.1 * k, 1.0) for k in range(3))) == [False, False, True]
    assert suffices(*(frame(0.1 * k, 1.0 + 0.15 * k, 8.0 * k) for k in range(3))) == [False, False, True]


@pytest.mark.parametrize("wrong", [frame(0.2, 7.0), frame(0.2, 1.0, 180.0), frame(0.2, 1.0, map_frame="attic")])
def test_n38_a_single_wrong_frame_is_not_believed_and_costs_the_run(wrong: BaseEstimate) -> None:
    frames = [frame(0.0, 1.0), frame(0.1, 1.0), wrong, *(frame(0.1 * k, 1.0) for k in range(3, 6))]
    assert suffices(*frames) == [False, False, False, False, False, True]


def test_n38_frames_that_creep_away_disagree_with_the_first_though_not_with_the_last() -> None:
    """Each is as far from its neighbour as speed and errors allow; together they are farther than both allow."""
    assert suffices(*(frame(0.1 * k, 0.44 * k) for k in range(2))) == [False, False]
    assert suffices(*(frame(0.1 * k, 0.44 * k) for k in range(4))) == [False] * 4


def test_n38_a_slow_camera_gives_no_licence_to_be_anywhere() -> None:
    assert suffices(*(frame(10.0 * k, 1.0) for k in range(3))) == [False, False, True]
    assert suffices(*(frame(10.0 * k, 1.0 + 6.0 * k) for k in range(3))) == [False, False, False]


def test_n38_odometry_says_what_the_motion_was() -> None:
    # 10 m/s, which without odometry is too much; odom and map are rotated against each other by 90 degrees.
    path = [Pose(np.array([-9.0, 1.0 - 1.0 * k, 0.0]), base(0.0, -90.0).orientation) for k in range(3)]
    fast = [frame(0.1 * k, 1.0 + 1.0 * k, odometry=T_odom_base) for k, T_odom_base in enumerate(path)]
    assert suffices(*fast) == [False, False, True]
    assert suffices(*(frame(0.1 * k, 1.0 + 1.0 * k) for k in range(3))) == [False, False, False]
    # By speed alone these would do; the wheels have not moved.
    standing = [frame(1.0 * k, 1.0 + 0.5 * k, odometry=base(-9.0)) for k in range(3)]
    assert suffices(*standing) == [False, False, False]
    assert suffices(*(frame(1.0 * k, 1.0 + 0.5 * k) for k in range(3))) == [False, False, True]


def test_n38_a_frame_that_is_not_localized_and_numbers_that_are_none_begin_anew() -> None:
    agreeing = AgreeingFrames()
    assert agreeing.add(frame(0.0, 1.0)) == "1 of 3 frames so far"
    assert agreeing.add(frame(0.1, 1.0)) == "2 of 3 frames so far"
    agreeing.forget()
    assert agreeing.add(frame(0.2, 1.0)) == "1 of 3 frames so far"
    endless = BaseEstimate(300_000_000, "map", base(1.0), np.full((6, 6), np.nan))
    assert "nan m and nan deg are allowed" in agreeing.add(endless)

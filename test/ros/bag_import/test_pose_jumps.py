"""Covariances of recorded poses are kept by frame; poses that jump without a motion break the sequence there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from made_bags import T0_NS, Messages, Row, base_at, drive, imported, write_bag
from scipy.spatial.transform import Rotation

from transposenet_core.geometry.covariance import moved_covariance
from transposenet_core.geometry.pose import Pose
from transposenet_ros.bag_import.pose_covariance import PoseCovariances
from transposenet_ros.bag_import.pose_jumps import find_jumps

STEP_NS = 50_000_000
AMCL = np.diag([0.04, 0.09, 0, 0, 0, 0.01]) + 0.01 * (np.eye(6)[:, [1, 0, 2, 3, 4, 5]] - np.diag([0, 0, 1, 1, 1, 1]))


def corrected(jump: np.ndarray, sigma: float, odometry: bool) -> Iterator[Row]:
    """The drive of `made_bags`, whose localization is off by `jump` (metres) up to the tenth pose."""
    m = Messages()
    for topic, time_ns, message in drive():
        if topic in ("/camera/image", "/camera/camera_info", "/tf_static"):
            yield topic, time_ns, message
    for number in range(20):
        stamp_ns = T0_NS + number * STEP_NS
        T_odom_base = base_at(stamp_ns)
        off = Pose(jump * (number < 10), np.array([1.0, 0, 0, 0]))
        covariance_66 = sigma**2 * np.eye(6)
        yield "/amcl_pose", stamp_ns, m.pose_with_covariance(stamp_ns, "map", off @ T_odom_base, covariance_66)
        links = [m.transform(stamp_ns, "map", "odom", off)]
        if odometry:
            links.append(m.transform(stamp_ns, "odom", "base_link", T_odom_base))
        yield "/tf", stamp_ns, m.tf(*links)


@pytest.mark.parametrize(
    ("pose", "sigma", "odometry", "parts"),
    [
        (["/amcl_pose", "--pose-frame", "base_link"], 0.01, True, 2),
        (["/amcl_pose", "--pose-frame", "base_link"], 0.01, False, 2),
        (["tf:map->base_link"], 0.01, True, 2),
        (["/amcl_pose", "--pose-frame", "base_link"], 0.2, True, 1),  # what it is unsure of explains the jump
    ],
    ids=["odometry", "motion_around", "tf", "covariance"],
)
def test_a_jump_breaks_the_sequence_and_its_time_is_printed(tmp_path, capsys, pose, sigma, odometry, parts) -> None:
    rows = sorted(corrected(np.array([0.0, 0.5, 0]), sigma, odometry), key=lambda row: row[1])
    scene = imported(write_bag(tmp_path / "bag", rows), tmp_path / "data", "--pose", *pose, "--min-match", "0.5")
    printed = capsys.readouterr().out
    assert ("the poses jump between" in printed and f"by 0.50 m and {0.0 if odometry else 1.1} deg" in printed) == (
        parts == 2
    )
    sequences = [image.sequence for image in scene.images]
    if parts == 2:  # the image between the two poses has none
        assert sequences == ["seq-01"] * 9 + ["seq-01-2"] * 9 and "1 across a jump of the poses" in printed
        steps = np.diff([image.pose.position[1] for image in scene.images])
        assert np.abs(np.delete(steps, 8)).max() < 0.05 < np.abs(steps[8])
    else:
        assert sequences == ["seq-01"] * 19


def test_covariances_are_kept_with_the_frames_and_moved_to_the_camera(tmp_path: Path) -> None:
    m = Messages()
    rows = [
        (topic, time_ns, m.pose_with_covariance(time_ns, "map", base_at(time_ns), AMCL) if topic == "/amcl_pose" else x)
        for topic, time_ns, x in drive()
    ]
    options = ["--pose", "/amcl_pose", "--pose-frame", "base_link"]
    scene = imported(write_bag(tmp_path / "bag", rows), tmp_path / "data", *options)
    for number, image in enumerate(scene.images):
        base = base_at(T0_NS + number * STEP_NS + 20_000_000)
        expected_66 = moved_covariance(AMCL, image.pose.position - base.position)
        np.testing.assert_allclose(image.covariance_66, expected_66, rtol=0, atol=1e-12)
    without = imported(write_bag(tmp_path / "plain", drive()), tmp_path / "other", *options)
    assert all(image.covariance_66 is None for image in without.images)  # all zeros: not known


def test_what_is_no_covariance_is_left_out_and_the_rest_lies_between_its_neighbours() -> None:
    covariances = PoseCovariances()
    skew = np.eye(6)
    skew[0, 1] = 0.5
    for k, values in enumerate((np.eye(6), np.full((6, 6), np.nan), -np.eye(6), skew, np.zeros((6, 6)), 3 * np.eye(6))):
        covariances.take(k * 10, values.ravel())
    covariances.finish()
    assert covariances.stamps_N.tolist() == [0, 50]
    np.testing.assert_allclose(covariances.at(25, 50), 2 * np.eye(6))
    assert covariances.at(25, 49) is None and covariances.at(51, 50) is None and covariances.at(50, 0) is not None


@pytest.mark.parametrize("start", [10, 50])
def test_a_robot_that_starts_stops_and_turns_does_not_jump(start: int) -> None:
    """Poses at 2 Hz, 1 m/s and 60 deg/s from one pose to the next; standing before and after."""
    speed_N = np.zeros(100)
    speed_N[start : start + 30] = 0.5
    poses_N7 = np.zeros((100, 7))
    poses_N7[:, 0] = np.cumsum(speed_N)
    poses_N7[:, 3:] = Rotation.from_rotvec(np.outer(np.cumsum(speed_N), [0, 0, 1])).as_quat(scalar_first=True)
    stamps_N = np.arange(100) * 500_000_000
    still = np.zeros((100, 2))
    assert find_jumps(stamps_N, poses_N7, still, lambda a, b: None, None) == []
    poses_N7[60:, 1] += 3
    (jump,) = find_jumps(stamps_N, poses_N7, still, lambda a, b: None, None)
    assert (jump.before_ns, jump.after_ns) == (int(stamps_N[59]), int(stamps_N[60])) and jump.metres > 2.9


def test_a_step_that_odometry_does_not_cover_is_compared_with_the_motion_around() -> None:
    """Odometry that ends too early must not hide a jump."""
    poses_N7 = np.zeros((20, 7))
    poses_N7[:, 3] = 1
    poses_N7[15:, 0] = 3.0
    (jump,) = find_jumps(np.arange(20) * STEP_NS, poses_N7, np.zeros((20, 2)), lambda a, b: None, lambda a, b: None)
    assert (jump.before_ns, jump.metres) == (14 * STEP_NS, 3.0)

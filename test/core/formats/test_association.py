"""Poses at the images' times: motions worked out by hand and random ones, clocks that do not fit (fault matrix, T3)."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from transposenet_core.errors import UserError
from transposenet_core.formats.association import Association, associate, nanoseconds
from transposenet_core.formats.numbers import number_option, positive_option
from transposenet_core.geometry.pose import Pose, rotation_angle_deg

SECOND = 10**9
numbers = st.floats(-3, 3)
vectors = st.tuples(numbers, numbers, numbers)


def motion(start: Pose, velocity: np.ndarray, angular_velocity: np.ndarray, seconds: float) -> Pose:
    """The camera's centre at a constant velocity in the map, its axes turning at a constant rate about themselves."""
    rotated = Rotation.from_matrix(start.rotation_33) * Rotation.from_rotvec(seconds * angular_velocity)
    return Pose(start.position + seconds * velocity, rotated.as_quat(scalar_first=True))


def sliding(*seconds: float) -> tuple[list[int], list[Pose]]:
    """Poses at x = their time."""
    return [round(t * SECOND) for t in seconds], [Pose([t, 0, 0], [1, 0, 0, 0]) for t in seconds]


def xs(found: Association) -> list[float | None]:
    return [None if pose is None else float(pose.position[0]) for pose in found.poses]


@settings(deadline=None, max_examples=60)
@given(vectors, vectors, vectors, vectors, st.lists(st.floats(0, 2), min_size=1, max_size=8), st.randoms())
def test_a_constant_motion_is_reproduced_to_1e_9(start, rotated, velocity, spin, times, generator) -> None:
    origin = Pose(start, Rotation.from_rotvec(rotated).as_quat(scalar_first=True))
    v, w = np.array(velocity), np.array(spin)
    epoch = 1_700_000_000 * SECOND  # float64 seconds would end at 2.4e-7 here
    grid = [epoch + k * SECOND // 10 for k in range(21)]
    poses = [motion(origin, v, w, k / 10) for k in range(21)]
    stamps = [epoch + round(t * SECOND) for t in times]
    order = list(range(21))
    generator.shuffle(order)
    found = associate(stamps, [grid[k] for k in order], [poses[k] for k in order], max_gap_s=0.1)
    assert found.rate == 1
    for stamp, pose in zip(stamps, found.poses, strict=True):
        true = motion(origin, v, w, (stamp - epoch) / SECOND)
        np.testing.assert_allclose(pose.position, true.position, atol=1e-9)
        assert rotation_angle_deg(pose.orientation, true.orientation) < np.degrees(1e-9) * 10


@settings(deadline=None, max_examples=40)
@given(vectors, vectors, st.floats(0, 1))
def test_interpolating_backwards_in_time_gives_the_same_pose(first, second, share) -> None:
    a, b = (Pose(v, Rotation.from_rotvec(0.4 * np.array(v)).as_quat(scalar_first=True)) for v in (first, second))
    stamp = round(share * SECOND)
    (forth,) = associate([stamp], [0, SECOND], [a, b], 1).poses
    (back,) = associate([SECOND - stamp], [0, SECOND], [b, a], 1).poses
    np.testing.assert_allclose(forth.matrix_44, back.matrix_44, atol=1e-9)


def test_a_quarter_of_the_way_of_a_quarter_turn() -> None:
    ends = [
        Pose([0, 0, 0], [1, 0, 0, 0]),
        Pose([4, 0, 0], Rotation.from_euler("z", 90, degrees=True).as_quat()[[3, 0, 1, 2]]),
    ]
    (pose,) = associate([SECOND // 4], [0, SECOND], ends, 1).poses
    np.testing.assert_allclose(pose.position, [1, 0, 0])
    np.testing.assert_allclose(pose.rotation_33 @ [1, 0, 0], [np.cos(np.pi / 8), np.sin(np.pi / 8), 0])


def test_nothing_is_extrapolated_and_long_gaps_are_not_bridged() -> None:
    stamps, poses = sliding(1, 1.1, 1.3, 1.35)
    found = associate([round(t * SECOND) for t in (0.99, 1.0, 1.05, 1.2, 1.3, 1.34, 1.35, 1.351)], stamps, poses, 0.1)
    assert xs(found) == [None, 1.0, pytest.approx(1.05), None, 1.3, pytest.approx(1.34), 1.35, None]
    assert (found.outside, found.in_gaps, found.matched, found.rate) == (2, 1, 5, 5 / 8)
    assert str(found) == (
        "5 of 8 images (62.5%) have a pose at their time, 2 are before the first or after the last pose, "
        "1 lie between poses more than 0.1 s apart"
    )


def test_images_keep_their_order_one_pose_is_enough_and_of_equal_stamps_the_first_counts() -> None:
    stamps, poses = sliding(0, 0.1, 0.2)
    assert xs(associate([2 * SECOND // 10, 0], stamps, poses)) == [0.2, 0]
    assert xs(associate([5, 6], [5], poses[1:2])) == [0.1, None]
    assert xs(associate([5], [5, 5], poses[1:])) == [0.1]


def test_the_offset_is_added_to_the_images_stamps() -> None:
    stamps, poses = sliding(*np.arange(0, 1.01, 0.05))
    assert xs(associate([SECOND // 2], stamps, poses, offset_s=0.08)) == [pytest.approx(0.58)]


def test_t03_another_clock_is_refused_with_the_rate_both_ranges_and_the_offset() -> None:
    stamps, poses = sliding(*np.arange(100, 103, 0.05))
    images = [round(t * SECOND) for t in np.arange(2.5, 5, 0.1)]
    found = associate(images, stamps, poses)
    with pytest.raises(UserError) as caught:
        found.require("rgb.txt")
    sentence = str(caught.value)
    assert sentence.startswith("rgb.txt: 0 of 25 images (0.0%) have a pose at their time, 25 are before the first")
    assert "from 2.500 to 4.900 s, the poses' from 100.000 to 102.950 s" in sentence and "+97.500 s" in sentence
    corrected = associate(images, stamps, poses, offset_s=found.clock_offset_s)
    corrected.require("rgb.txt")
    assert corrected.rate == 1


def test_t03_eighty_percent_is_enough_and_less_is_not() -> None:
    stamps, poses = sliding(*np.arange(0, 0.81, 0.05))
    associate([k * SECOND // 10 for k in range(10)], stamps, poses).require("x")  # 0 to 0.8 of 0 to 0.9 s
    with pytest.raises(UserError, match=r"x: 9 of 12 images \(75.0%\)"):
        associate([k * SECOND // 10 for k in range(12)], stamps, poses).require("x")


def test_without_images_or_poses_there_is_nothing_to_associate() -> None:
    stamps, poses = sliding(0, 1)
    for arguments in (([], stamps, poses), ([1], [], []), ([1], stamps, poses[:1])):
        with pytest.raises(ValueError, match="poses with"):
            associate(*arguments)


@given(st.integers(-(2**62), 2**62))
def test_stamps_lose_no_nanosecond(stamp: int) -> None:
    sign, (whole, part) = "-" if stamp < 0 else "", divmod(abs(stamp), SECOND)
    assert nanoseconds(f"{sign}{whole}.{part:09d}") == stamp


@pytest.mark.parametrize("text", ["", "now", "nan", "inf", "1e30", "1e999999", "1.2.3"])
def test_no_stamp(text: str) -> None:
    with pytest.raises(ValueError, match="is not a time stamp in seconds"):
        nanoseconds(text)


def test_options_are_numbers() -> None:
    assert number_option({"time_offset": "-0.08"}, "time_offset", 0, "x") == -0.08
    assert positive_option({}, "max_gap", 0.1, "x") == 0.1
    for value in ("soon", "nan", "inf", "1e300"):
        with pytest.raises(
            UserError, match=f"the option max_gap={value} is not a number up to 2e\\+09; write for example max_gap=0.1"
        ):
            positive_option({"max_gap": value}, "max_gap", 0.1, "x")
    with pytest.raises(UserError, match="x: the option max_gap=0 must be above 0"):
        positive_option({"max_gap": "0"}, "max_gap", 0.1, "x")


def test_t03_t26_stamps_in_milliseconds_are_named_where_no_image_has_a_pose() -> None:
    """Read as seconds they are 33 s apart, which no gap to interpolate in is."""
    stamps_ns, poses = sliding(*(33.3 * k for k in range(20)))
    found = associate([stamp_ns + SECOND for stamp_ns in stamps_ns], stamps_ns, poses)
    with pytest.raises(UserError, match=r"the poses are 33.3 s apart, are their stamps in milliseconds\?"):
        found.require("rgb.txt")

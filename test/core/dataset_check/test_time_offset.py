"""The time offset between images and poses, from the rotation speeds of both."""

from __future__ import annotations

import numpy as np
import pytest
from core.dataset_check.made_room import render
from scipy.spatial.transform import Rotation

from transposenet_core.dataset_check.check import check_offset
from transposenet_core.dataset_check.time_offset import estimate_time_offset, rotations_between
from transposenet_core.formats import load_scene
from transposenet_core.formats.declared_convention import AXES
from transposenet_core.formats.faults import Faults
from transposenet_core.geometry.pose import Pose
from transposenet_core.image_files import read_image

TIMES = np.arange(60) / 20


def rotating(times: np.ndarray, amount: float = 1.0) -> list[Pose]:
    yaw = 12 * np.sin(2.1 * times) + 5 * np.sin(5.3 * times + 1)
    rotations = amount * np.stack([yaw, 4 * np.sin(3.7 * times), 3 * np.sin(4.9 * times)], -1)
    R = Rotation.from_euler("ZYX", rotations, degrees=True) * Rotation.from_matrix(AXES["ROS body"])
    return [Pose(np.array([-1.0, 0.0, 0.0]), q) for q in R.as_quat(scalar_first=True)]


def test_t03_red_kitchen_poses_80_ms_late_are_reported(data_folder):
    scene = load_scene(
        f"7scenes:{data_folder / '7scenes' / 'redkitchen'}", data_folder / "splits" / "redkitchen_b50_fold0.csv"
    )
    images = sorted(scene.images, key=lambda image: image.stamp)[:300]
    stamps, poses = np.array([image.stamp for image in images]), [image.pose for image in images]
    rotations = rotations_between(read_image(image.path) for image in images)
    for offset_s in (0.0, 0.08, -0.08):
        offset = estimate_time_offset(stamps, rotations, stamps + offset_s, poses)
        assert offset.seconds == pytest.approx(offset_s, abs=0.015), offset.sentence()


@pytest.mark.parametrize("offset_s", [0.08, -0.013])
def test_t03_an_offset_below_a_frame_is_found_in_drawn_images(offset_s):
    pose_times = np.arange(-1, 4, 0.01)
    offset = estimate_time_offset(TIMES, render(rotating(TIMES)), pose_times + offset_s, rotating(pose_times))
    assert offset.seconds == pytest.approx(offset_s, abs=0.005), offset.sentence()
    assert offset.correlation > 0.9 and "ms" in offset.sentence()


def test_a_camera_that_stands_still_gives_no_offset():
    offset = estimate_time_offset(TIMES, render(rotating(TIMES[:1])) * len(TIMES), TIMES, rotating(TIMES))
    assert offset.seconds is None and "hardly rotate" in offset.sentence()


def test_poses_of_another_recording_give_no_offset():
    rng = np.random.default_rng(1)
    rotations = np.abs(rng.normal(0.02, 0.01, len(TIMES) - 1))
    offset = estimate_time_offset(TIMES, rotations, TIMES, rotating(TIMES))
    assert offset.seconds is None, offset.sentence()
    apart = estimate_time_offset(TIMES, rotations, TIMES + 1000, rotating(TIMES))
    assert apart.seconds is None and "overlap" in apart.why


def test_too_few_images_are_reported():
    offset = estimate_time_offset(TIMES[:3], np.array([0.01, 0.02]), TIMES, rotating(TIMES))
    assert offset.seconds is None and "30 are needed" in offset.why


def test_stamps_in_another_unit_give_no_offset_and_no_endless_search():
    rotations = np.abs(np.random.default_rng(1).normal(0.02, 0.01, len(TIMES) - 1))
    offset = estimate_time_offset(TIMES * 1e-9, rotations, TIMES * 1e-9, rotating(TIMES))
    assert offset.seconds is None and offset.why.endswith("s apart: their stamps are probably in a larger unit")


def noisy_speeds(seed: int, late_s: float) -> tuple[np.ndarray, np.ndarray, list[Pose]]:
    """Stamps, rotations between images as badly measured as on a plain wall, and poses that are `late_s` late."""
    rng = np.random.default_rng(seed)
    times = np.arange(50) / 20
    R = Rotation.from_quat([pose.orientation for pose in rotating(times)], scalar_first=True)
    true = (R[:-1].inv() * R[1:]).magnitude()
    return times, np.abs(true + rng.normal(0, 0.9 * true.std(), len(true))), rotating(times - late_s)


def test_t03_without_an_offset_none_is_stated_and_one_of_two_frames_is() -> None:
    """Poses at the images' own stamps, whose speeds agree best 10 to 400 ms away: chance, not a clock."""
    peaks = []
    for seed in range(20):
        times, rotations, poses = noisy_speeds(seed, 0.0)
        offset = estimate_time_offset(times, rotations, times, poses)
        assert offset.seconds in (0.0, None), offset.sentence()
        peaks.append(abs(offset.peak) if offset.seconds is not None else np.nan)
    assert np.nanmax(peaks) > 0.01  # a fifth of a frame: the best is somewhere else
    found = []
    for seed in range(10):
        times, rotations, poses = noisy_speeds(seed, 0.1)
        offset = estimate_time_offset(times, rotations, times, poses)
        found.append(offset.seconds)
    right = [seconds is not None and abs(seconds - 0.1) < 0.03 for seconds in found]
    assert sum(right) >= 6 and all(ok or seconds is None for ok, seconds in zip(right, found, strict=True)), found


def test_t26_images_without_stamps_have_an_offset_in_frames() -> None:
    times, rotations, poses = noisy_speeds(1, 0.1)
    offset = estimate_time_offset(times, rotations, times, poses)
    assert (
        "ms" in offset.sentence()
        and "+1.8 frames" in offset.sentence("frames")
        and "ms" not in offset.sentence("frames")
    )
    assert offset.to_dict("frames")["frames"] == pytest.approx(offset.to_dict()["seconds"] * 20)
    faults = Faults()
    check_offset(offset, 0.05, faults, "frames")
    assert "s to the images' stamps" not in str(faults.remarks[0]) and "order of the images" in str(faults.remarks[0])

"""The time offset between images and poses, from the rotation speeds of both."""

from __future__ import annotations

import numpy as np
import pytest
from core.dataset_check.made_room import render
from scipy.spatial.transform import Rotation

from transposenet_core.dataset_check.time_offset import estimate_time_offset, rotations_between
from transposenet_core.formats import load_scene
from transposenet_core.formats.declared_convention import AXES
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

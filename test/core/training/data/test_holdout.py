"""Held-out frames lie as far from the training frames as another place would, however slowly the camera moved."""

from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from transposenet_core.geometry.pose import Pose
from transposenet_core.scene import PosedImage, Scene
from transposenet_core.training.data.holdout import GUARD, GUARD_VIEWS, VIEW_M, hold_out_validation, view_changes


def corridor(frames: int, speed: float, rotation_deg: float = 0.0) -> Scene:
    """A camera that goes straight on by `speed` metres and turns by `rotation_deg` per frame."""
    images = []
    for i in range(frames):
        rotation = Rotation.from_euler("y", i * rotation_deg, degrees=True).as_quat(scalar_first=True)
        images.append(PosedImage(f"{i}", Path(f"{i}"), Pose([i * speed, 0, 0], rotation), "train", "drive", i / 30))
    return Scene("corridor", images)


@pytest.mark.parametrize("speed", [0.001, 0.01, 0.05])
def test_t04_a_slow_cameras_held_out_views_are_no_copies(speed: float) -> None:
    scene = corridor(round(30 / speed), speed)
    held = hold_out_validation(scene)
    val, train = ([image.pose.position[0] for image in held.select(split)] for split in ("val", "train"))
    assert len(val) == pytest.approx(0.1 * len(scene.images), rel=0.1)
    nearest = np.abs(np.subtract.outer(val, train)).min(axis=1)
    assert nearest.min() >= GUARD_VIEWS * VIEW_M * 0.95
    assert np.median(nearest) > 1.5 * VIEW_M


def test_rotating_on_the_spot_changes_the_view() -> None:
    scene = corridor(600, 0.0, rotation_deg=0.8)
    assert view_changes(scene.images)[-1] == pytest.approx(599 * 0.8 / 8)
    held = hold_out_validation(scene)
    assert len(held.select("val")) == pytest.approx(60, abs=6)


def test_a_fast_camera_keeps_a_guard_of_frames() -> None:
    held = hold_out_validation(corridor(400, 0.5))
    val, train = ({int(image.name) for image in held.select(split)} for split in ("val", "train"))
    assert val and min(abs(v - t) for v in val for t in train) > GUARD

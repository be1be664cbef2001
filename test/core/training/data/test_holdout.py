"""Held-out frames lie as far from the training frames as another place would, however slowly the camera moved."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from transposenet_core.formats import load_scene
from transposenet_core.geometry.pose import Pose
from transposenet_core.scene import PosedImage, Scene
from transposenet_core.training.data.holdout import (
    GUARD,
    GUARD_VIEWS,
    KEPT,
    MINIMUM_TRAINING_FRAMES,
    VIEW_M,
    hold_out_validation,
    holdout_sentence,
    view_changes,
)


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
    after = np.clip(np.searchsorted(train, val), 1, len(train) - 1)
    nearest = np.minimum(np.abs(np.take(train, after) - val), np.abs(np.take(train, after - 1) - val))
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


def shares(scene: Scene) -> tuple[float, float]:
    """Of the training frames: those that still train, and those that validate."""
    held = hold_out_validation(scene)
    return tuple(len(held.select(split)) / len(scene.select("train")) for split in ("train", "val"))  # type: ignore[return-value]


@pytest.mark.parametrize(("frames", "sequences"), [(150, 1), (302, 7), (2000, 2)])
@pytest.mark.parametrize("units", ["metres", "arbitrary"])
@pytest.mark.parametrize("spacing", [0.05, 0.2, 0.8, 5.0])
def test_t13_guards_leave_most_frames_to_train(frames: int, spacing: float, units: str, sequences: int) -> None:
    scene = corridor(frames, spacing)
    images = [dataclasses.replace(image, sequence=f"{i * sequences // frames}") for i, image in enumerate(scene.images)]
    training, validation = shares(dataclasses.replace(scene, units=units, images=images))
    assert training >= KEPT and validation >= 0.05


@settings(deadline=None, max_examples=30)
@given(st.lists(st.floats(0, 3) | st.sampled_from([0.0, 1e-9, 100.0]), min_size=150, max_size=400))
def test_t13_whatever_the_camera_does_from_frame_to_frame(steps: list[float]) -> None:
    """A camera that stands most of the time and leaps otherwise, too."""
    scene = corridor(len(steps), 0.0)
    places = np.cumsum(steps)
    images = [
        dataclasses.replace(image, pose=Pose([place, 0, 0], [1, 0, 0, 0]))
        for image, place in zip(scene.images, places, strict=True)
    ]
    training, validation = shares(dataclasses.replace(scene, images=images))
    assert training >= KEPT and validation >= 0.05


def test_t13_the_counts_and_their_reasons_are_printed() -> None:
    scene = corridor(1000, 0.8)
    held = hold_out_validation(scene)
    train, val, between = (len(held.select(split)) for split in ("train", "val", "left_out"))
    assert train + val + between == 1000
    sentence = holdout_sentence(held, scene)
    assert (
        f"{train} frames train, {val} are held out" in sentence and f"{between} between them are left out" in sentence
    )
    assert holdout_sentence(held, held).endswith(f"{val} validate, as in the split of the data")
    few = corridor(MINIMUM_TRAINING_FRAMES - 1, 0.1)
    assert "none validates: below 150" in holdout_sentence(hold_out_validation(few), few)


@pytest.mark.parametrize(("fold", "expected"), [(0, (533, 90, 37)), (3, (517, 95, 48))])
def test_t13_dense_recordings_are_held_out_as_before(data_folder: Path, fold: int, expected: tuple[int, ...]) -> None:
    """The bound on the guards changes nothing where they cost little: the validation error stays as strict."""
    split = data_folder / "splits" / f"redkitchen_b50_fold{fold}.csv"
    held = hold_out_validation(load_scene(f"7scenes:{data_folder / '7scenes' / 'redkitchen'}", split))
    assert tuple(len(held.select(name)) for name in ("train", "val", "left_out")) == expected

"""Which poses a network is given: adjusted ones, unless the validation frames say that the adjustment bent the map."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from textured_planes import CAMERA, ROOM, camera_at, render

from transposenet_core.geometry.pose import Pose
from transposenet_core.mapping.adjust.adjustment import Adjustment, adjust
from transposenet_core.mapping.adjust.lens import Lens
from transposenet_core.mapping.labels import choose_labels, placed
from transposenet_core.scene import PosedImage

SIZE = 160, 120
Walked = tuple[Adjustment, list[PosedImage], Path]


@pytest.fixture(scope="module")
def walked(tmp_path_factory: pytest.TempPathFactory) -> Walked:
    """The adjustment of 20 frames whose poses are off by 3 cm, 10 frames between them with exact poses, the cache."""
    folder, rng = tmp_path_factory.mktemp("walked"), np.random.default_rng(2)
    camera, frames = CAMERA.resized(*SIZE), []
    for number in range(30):
        pose = camera_at((0.05 * number - 0.7, 0.06 * np.sin(number), 0.05 * np.cos(2 * number)), 10 - 0.7 * number)
        validates = number % 3 == 1
        off = pose if validates else Pose(pose.position + rng.normal(0, 0.03, 3), pose.orientation)
        path = folder / f"{number:03d}.png"
        cv2.imwrite(str(path), render(ROOM, pose, camera)[0][..., ::-1])
        frames.append(PosedImage(path.name, path, off, "val" if validates else "train", "a", number / 5))
    training, validation = ([f for f in frames if f.split == split] for split in ("train", "val"))
    return adjust(training, camera, cache=folder / "cache", progress=False), validation, folder / "cache"


def test_a_map_that_places_validation_frames_better_gives_the_labels(walked: Walked) -> None:
    adjustment, validation, cache = walked
    choice = choose_labels(adjustment, validation, "m", cache, progress=False)
    assert choice.labels == "adjusted" and choice.placed == len(validation)
    assert "10 validation frames are placed" in choice.reason
    assert choice.adjusted_deg < 0.5 * choice.recorded_deg


def test_m02_a_bent_map_does_not(walked: Walked) -> None:
    adjustment, validation, cache = walked
    sparse = adjustment.sparse

    def bent(position_N3: np.ndarray) -> np.ndarray:
        return position_N3 + 0.15 * position_N3[..., :1] ** 2 * np.array([0, 1.0, 0])

    frames = [
        replace(f, T_map_camera=Pose(bent(f.T_map_camera.position), f.T_map_camera.orientation)) for f in sparse.frames
    ]
    worse = replace(adjustment, sparse=replace(sparse, frames=frames, point_P3=bent(sparse.point_P3)))
    choice = choose_labels(worse, validation, "m", cache, progress=False)
    assert choice.labels == "recorded"
    assert choice.adjusted_m > choice.recorded_m


def test_validation_frames_of_another_size_are_not_asked(walked: Walked, tmp_path: Path) -> None:
    adjustment, validation, cache = walked
    half = []
    for image in validation:
        half.append(replace(image, path=tmp_path / image.name))
        cv2.imwrite(str(half[-1].path), cv2.resize(cv2.imread(str(image.path)), (80, 60)))
    choice = choose_labels(adjustment, half, "m", cache, progress=False)
    assert choice.labels == "adjusted" and choice.placed == 0
    assert "0 validation frames can be compared, 10 are needed" in choice.reason


@pytest.mark.parametrize("distinct", [1, 2])
def test_points_that_fix_no_pose_place_nothing(distinct: int) -> None:
    """OpenCV's solver ends with an error there: on an office, whose validation frames look where nobody had looked."""
    rng = np.random.default_rng(2)
    point_K3 = np.repeat(rng.normal(size=(distinct, 3)) + [0, 0, 4], 20 // distinct, axis=0)
    pixel_K2 = point_K3[:, :2] / point_K3[:, 2:] * CAMERA.fx + [CAMERA.cx, CAMERA.cy]
    assert placed(pixel_K2, point_K3, Lens.of(CAMERA)) is None

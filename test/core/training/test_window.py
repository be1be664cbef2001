"""The network's window in the shape of the camera's images: all of them is seen, and 4:3 stays what it was."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_scene import write_small_scene
from training_runs import arguments, train

from transposenet_core.geometry.intrinsics import Intrinsics
from transposenet_core.localizer import Localizer
from transposenet_core.presets import preset_path
from transposenet_core.scene import Scene
from transposenet_core.scene_model import SceneModel
from transposenet_core.training.config import ImageConfig, TrainConfig
from transposenet_core.training.config_reading import load_config
from transposenet_core.training.network import preprocessing_of
from transposenet_core.training.window import CELL, LONGEST, fitted_window

FITTED = TrainConfig(image=ImageConfig(smaller_edge=96, height=96, width=128, match_aspect_ratio=True))


def of_images(width: int, height: int) -> Scene:
    return Scene("made", [], intrinsics=Intrinsics(width, height, width, width, width / 2, height / 2))


@pytest.mark.parametrize(
    ("images", "window"),
    [
        ((640, 480), (96, 128)),
        ((1920, 1080), (96, 176)),
        ((1080, 1920), (176, 96)),
        ((480, 640), (128, 96)),
        ((500, 500), (96, 96)),
        ((4000, 1000), (96, 192)),
    ],
)
def test_the_window_follows_the_images(images: tuple[int, int], window: tuple[int, int]) -> None:
    image = fitted_window(FITTED, of_images(*images)).image
    assert (image.height, image.width) == window


@given(st.integers(100, 4000), st.integers(100, 4000))
def test_nearly_all_of_the_image_is_seen(width: int, height: int) -> None:
    config = fitted_window(FITTED, of_images(width, height))
    top, left, bottom, right = preprocessing_of(config).window(height, width)
    shape = max(width, height) / min(width, height)
    seen = (bottom - top) * (right - left) / (width * height)
    least = 1 - CELL / 2 / 96 if shape <= LONGEST else LONGEST / shape
    assert seen >= least - 0.02


def test_without_the_option_or_a_camera_nothing_changes() -> None:
    fixed = TrainConfig(image=replace(FITTED.image, match_aspect_ratio=False))
    assert fitted_window(fixed, of_images(1920, 1080)) == fixed
    assert fitted_window(FITTED, Scene("made", [])) == FITTED


@pytest.mark.parametrize("upright", [False, True])
def test_a_trained_model_has_that_window(tmp_path: Path, upright: bool, capsys: pytest.CaptureFixture[str]) -> None:
    scene = write_small_scene(tmp_path / "scene")
    for path in scene.rglob("*.color.png") if upright else ():
        cv2.imwrite(str(path), np.rot90(cv2.imread(str(path))))
    options = ["image.match_aspect_ratio=true", "image.height=32", "image.width=32", "image.smaller_edge=32"]
    assert train(arguments(scene, tmp_path / "run", *options, "epochs=2")) == 0
    assert "pixels instead of 32x32" in capsys.readouterr().out
    model = SceneModel.load(tmp_path / "run")
    image_HW3 = cv2.imread(str(next(scene.rglob("*.color.png"))))
    height, width = image_HW3.shape[:2]
    long = round(32 * max(width, height) / min(width, height) / CELL) * CELL
    assert long > 32 and model.preprocessing.image_size == ((long, 32) if upright else (32, long))
    assert Localizer(tmp_path / "run", "cpu").localize(image_HW3).pose is not None


def test_a_window_that_is_asked_for_is_kept() -> None:
    preset = preset_path("scene_coordinates")
    assert load_config(preset, []).image.match_aspect_ratio
    for wanted in (["image.width=176"], ["image.height=144", "image.width=192"]):
        assert not load_config(preset, wanted).image.match_aspect_ratio
    assert load_config(preset, ["image.height=144", "image.match_aspect_ratio=true"]).image.match_aspect_ratio

"""Images to poses on the command line: the table, the JSON, and the notes on images and lenses."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from small_scene import write_small_scene
from untrained import save_untrained

from transposenet_core.commands import localize
from transposenet_core.commands.parser import run_command
from transposenet_core.estimate import Estimate
from transposenet_core.formats import load_scene
from transposenet_core.geometry.intrinsics import Intrinsics
from transposenet_core.geometry.undistortion import Undistorter
from transposenet_core.image_files import read_image
from transposenet_core.localizer import Localizer
from transposenet_core.preprocessing import Preprocessing
from transposenet_core.scene_model import SceneModel

DEMO = Path(__file__).resolve().parents[3] / "demo" / "model"
LENS = Intrinsics(80, 60, 70, 70, 39.5, 29.5, "camera.json", False, "plumb_bob", (-0.3, 0.1, 0, 0))
KEYS = ["image", "localized", "reason", "explanation", "scene", "scene_probability", "map_frame", "units"]
KEYS += ["backend", "refined", "refinement", "position", "orientation", "sigma_m", "sigma_deg"]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small scene in desk/, a model of it with random weights, and the same trained on rectified images."""
    folder = tmp_path_factory.mktemp("place")
    images = load_scene(f"7scenes:{write_small_scene(folder / 'desk', 4)}").images
    save_untrained(folder / "model", [read_image(image.path) for image in images], Preprocessing(32, (32, 40)))
    rectified = replace(LENS, rectified=True, distortion_model="none", distortion=())
    model = SceneModel.load(folder / "model")
    replace(model, scenes=(replace(model.scenes[0], intrinsics=rectified),)).save(folder / "rectified")
    return folder


def run(*arguments: object) -> int:
    return run_command(localize, [str(argument) for argument in arguments], "transposenet localize")


def test_json_has_the_localizers_own_figures(place: Path, capsys: pytest.CaptureFixture) -> None:
    images = sorted((place / "desk" / "seq-01").glob("*.color.png"))
    assert run("--model", place / "model", place / "desk" / "seq-01", "--json", "--device", "cpu") == 0
    printed = capsys.readouterr()
    found = json.loads(printed.out)
    assert [one["image"] for one in found] == [str(path) for path in images] and len(found) == 4
    localizer = Localizer(place / "model", device="cpu")
    for one, path in zip(found, images, strict=True):
        estimate = localizer.localize(read_image(path))
        assert list(one) == KEYS and estimate.pose is not None
        assert (one["localized"], one["reason"], one["scene"]) == (True, "", "textures")
        assert one["position"] == estimate.pose.position.tolist()
        assert one["orientation"] == estimate.pose.orientation.tolist()
        assert one["sigma_m"] == pytest.approx(np.sqrt(0.14)) and one["sigma_deg"] == pytest.approx(2.1438, abs=1e-3)
    assert "next: " in printed.err and "--json" in printed.err or "localizer" in printed.err


def test_the_table_is_aligned_and_another_place_has_its_reason(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (240, 320, 3), dtype=np.uint8)
    cv2.imwrite(str(tmp_path / "noise.png"), noise)
    assert run(tmp_path / "noise.png", "--model", DEMO, "--device", "cpu") == 0
    head, noisy, following = capsys.readouterr().out.splitlines()
    assert head.split() == ["image", *localize.NUMBERS, "localized", "scene"]
    assert noisy.split()[1:8] == ["-"] * 7 and noisy.split()[-2:] == ["out_of_scene", "demo_room"]
    assert noisy.index("out_of_scene") == head.index("localized") and following.startswith("next: ")
    assert run(place / "desk" / "seq-02", "--model", place / "model", "--device", "cpu") == 0
    head, *rows = capsys.readouterr().out.splitlines()[:-1]
    ends = [head.index(name) + len(name) for name in localize.NUMBERS]
    for row in rows:
        values = row.split()
        assert len(values) == 12 and values[-2:] == ["yes", "textures"]
        assert all(row[end - 1].isdigit() and row[end] == " " for end in ends)
        assert np.linalg.norm([float(value) for value in values[4:8]]) == pytest.approx(1, abs=1e-3)


def test_a_network_that_returns_nan_has_neither_pose_nor_sigma() -> None:
    lost = Estimate(None, 1e4 * np.eye(6), False, "non_finite_output", "desk", "map")
    one = localize.description("a\x1b[2J.png", lost)
    assert one["image"] == "a\\x1b[2J.png" and json.dumps(one, allow_nan=False)
    assert [one[key] for key in ("position", "orientation", "sigma_m", "sigma_deg")] == [None] * 4
    assert localize.table([one]).splitlines()[1].split()[1:] == ["-"] * 9 + ["non_finite_output", "desk"]


def test_a_model_of_rectified_images_notes_it_and_removes_the_distortion(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    image, camera = place / "desk" / "seq-01" / "frame-000001.color.png", tmp_path / "camera.json"
    camera.write_text(json.dumps(LENS.to_dict()))
    what = ["--model", place / "rectified", image, "--json", "--device", "cpu"]
    assert run(*what) == 0
    assert "note: the model was trained on rectified images" in capsys.readouterr().err
    assert run(*what, "--camera", camera) == 0
    printed = capsys.readouterr()
    bent = Localizer(place / "rectified", device="cpu").localize(Undistorter(LENS)(read_image(image)))
    assert bent.pose is not None and json.loads(printed.out)[0]["position"] == bent.pose.position.tolist()
    assert "note: " not in printed.err
    assert run("--model", place / "model", image, "--device", "cpu", "--camera", camera) == 0
    assert "--camera changes nothing: the model was trained on images with distortion" in capsys.readouterr().err


def test_what_cannot_be_read_is_one_sentence(place: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    (tmp_path / "text.png").write_text("no image")
    (tmp_path / "empty").mkdir()
    cv2.imwrite(str(tmp_path / "strip.png"), np.zeros((2, 300, 3), np.uint8))
    (tmp_path / "camera.json").write_text("{}")
    good = place / "desk" / "seq-01" / "frame-000001.color.png"
    for arguments, sentence in (
        ([place / "model", tmp_path / "text.png"], "text.png: 8 bytes that are neither JPEG nor PNG"),
        ([place / "model", tmp_path / "absent.png"], "absent.png: no such image"),
        ([place / "model", tmp_path / "empty"], "empty: no image there"),
        ([place / "model", tmp_path / "strip.png"], "strip.png: an image of 300 x 2; sides of at most 100 to 1"),
        ([place / "model", good, "--camera", tmp_path / "camera.json"], "camera.json: keys none unknown, width,"),
        ([tmp_path / "no_model", good], "no_model: no such folder"),
    ):
        assert run("--model", *arguments, "--device", "cpu") == 2
        printed = capsys.readouterr()
        errors = [line for line in printed.err.splitlines() if line.startswith("error: ")]
        assert len(errors) == 1 and sentence in errors[0] and printed.out == "", arguments


def test_t22_images_of_another_aspect_ratio_are_named(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    for name, size in (("same.png", (160, 120)), ("tall.png", (60, 80))):
        cv2.imwrite(str(tmp_path / name), np.zeros((size[1], size[0], 3), np.uint8))
    assert run("--model", place / "rectified", tmp_path, "--device", "cpu") == 0
    error = capsys.readouterr().err
    assert "1 of 2 images have another aspect ratio than those of the training, 80x60, and are cropped" in error
    assert "tall.png: 60x80" in error
    (tmp_path / "camera.json").write_text(json.dumps(LENS.to_dict()))
    assert run("--model", place / "rectified", tmp_path, "--camera", tmp_path / "camera.json", "--device", "cpu") == 2
    assert "tall.png: images of 60x80 pixels, but their camera" in capsys.readouterr().err

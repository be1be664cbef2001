"""Images of another size than their camera says: what one command takes the others take, with one and the same camera.

Fault matrix, T22.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from transposenet_core.commands import check, evaluate, train
from transposenet_core.commands.parser import run_command
from transposenet_core.dataset_check.check import check_dataset
from transposenet_core.dataset_check.lens import Lens
from transposenet_core.dataset_check.quick import quick_check
from transposenet_core.errors import UserError
from transposenet_core.evaluation.offline import image_reader
from transposenet_core.formats import inspect_scene, load_scene
from transposenet_core.formats.folder_writing import folder_dataset
from transposenet_core.geometry.intrinsics import Intrinsics
from transposenet_core.geometry.pose import Pose
from transposenet_core.geometry.undistortion import Undistorter
from transposenet_core.image_files import read_image, stored_size, usual_size
from transposenet_core.preprocessing import Preprocessing
from transposenet_core.scene_model import HeldOutError, MappedScene
from transposenet_core.training.data.pixels import load_pixels

DEMO = Path(__file__).resolve().parents[3] / "demo" / "model"
# The camera was calibrated at twice the size of the images below.
LARGE = Intrinsics(160, 120, 150.0, 152.0, 80.5, 58.5, "calibration", False, "plumb_bob", (-0.3, 0.1, 0.0, 0.0))
SMALL = Intrinsics(80, 60, 75.0, 76.0, 40.0, 29.0, "calibration", False, "plumb_bob", (-0.3, 0.1, 0.0, 0.0))
HELD_OUT = HeldOutError((0.1, 0.1, 0.1), (0.1, 0.1, 0.1), "2 frames")


def place(root: Path, camera: Intrinsics, count: int = 6) -> str:
    """Images of 80x60 with `camera` beside them, two of them for the test."""
    random_numbers = np.random.default_rng(0)
    with folder_dataset(root) as writer:
        writer.intrinsics = camera
        for k in range(count):
            pose = Pose([0.1 * k, 0, 0], [1, 0, 0.02 * k, 0])
            coarse_HW3 = random_numbers.integers(0, 256, (15, 20, 3), dtype=np.uint8)
            writer.add(f"{k}.png", cv2.resize(coarse_HW3, (80, 60)), pose, (k + 1) * 10**9)
        writer.set_splits([replace(image, split="test") if k > 3 else image for k, image in enumerate(writer.images)])
    return f"folder:{root}"


def test_t22_resized_images_have_scaled_intrinsics_everywhere(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    data = place(tmp_path / "place", LARGE)
    findings = check_dataset(data, motion=False, progress=False)
    sentence = "they are for 160x120 pixels, the images have 80x60: scaled to these"
    assert not findings.faults.refused and sum(sentence in str(fault) for fault in findings.faults.remarks) == 1
    assert findings.card.intrinsics["fx"] == SMALL.fx
    scene = quick_check(data, load_scene(data))
    assert scene.intrinsics == replace(SMALL, source="calibration") and capsys.readouterr().err.count(sentence) == 1
    first_HW3 = Undistorter(SMALL)(read_image(scene.images[0].path))
    pixels = load_pixels(scene.select("train"), Preprocessing(60, (60, 80)), camera=scene.intrinsics)
    np.testing.assert_array_equal(pixels.image_N3HW[0].permute(1, 2, 0).numpy(), first_HW3)
    assert pixels.camera == Undistorter(SMALL).rectified
    trained = MappedScene("place", "map", HELD_OUT, intrinsics=pixels.camera)
    np.testing.assert_array_equal(image_reader(scene, trained)(scene.images[0]), first_HW3)
    assert Lens.of(scene.intrinsics, (80, 60)).intrinsics == scene.intrinsics


def test_t22_another_aspect_ratio_is_refused_by_every_command(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    exchanged = replace(LARGE, width=120, height=160, cx=58.5, cy=80.5)
    data = place(tmp_path / "place", exchanged)
    described = "images of 80x60 pixels, but their camera (calibration) is described for 120x160"
    for command, arguments in (
        (check, [data, "--out", str(tmp_path / "check")]),
        (train, ["--config", "transposenet_cpu", "--data", data, "--out", str(tmp_path / "model")]),
        (evaluate, [str(DEMO), "--data", data, "--device", "cpu"]),
    ):
        assert run_command(command, arguments, "transposenet") == 2
        assert f"{described}: width and height are exchanged; give the" in capsys.readouterr().err
    assert not (tmp_path / "model").exists()


def test_t22_evaluation_refuses_an_image_of_another_aspect_ratio(tmp_path: Path) -> None:
    scene = load_scene(place(tmp_path / "place", SMALL))
    odd = scene.images[5]
    cv2.imwrite(str(odd.path), np.zeros((60, 60, 3), np.uint8))
    for trained_on in (None, replace(SMALL, rectified=True, distortion_model="none", distortion=())):
        read = image_reader(scene, MappedScene("place", "map", HELD_OUT, intrinsics=trained_on))
        read(scene.images[0])
        with pytest.raises(UserError, match=f"{odd.path.name}: images of 60x60 pixels, but their camera"):
            read(odd)


def test_t22_a_matrix_for_larger_images_shows_by_its_principal_point(tmp_path: Path) -> None:
    """A 3x3 matrix says no size: what lies outside of the images is remarked on."""
    large = replace(LARGE, width=80, height=60, distortion_model="none", distortion=(), rectified=None)
    _, faults = inspect_scene(place(tmp_path / "place", large))
    what = "the principal point (80.5, 58.5) is outside of the images of 80x60: is it for another size?"
    assert [str(fault).partition(": ")[2] for fault in faults.remarks] == [f"intrinsics (calibration): {what}"]


@pytest.mark.parametrize("suffix", [".jpg", ".png"])
def test_t22_the_size_in_a_header_is_that_of_the_pixels(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    cv2.imwrite(str(path), np.zeros((48, 640, 3), np.uint8))
    data = path.read_bytes()
    assert stored_size(path) == (640, 48)
    if suffix == ".jpg":  # an EXIF segment with an FF D8 thumbnail, and filling before the next marker
        path.write_bytes(data[:2] + b"\xff\xe1\x00\x0aExif\0\0\xff\xd8" + b"\xff\xff" + data[2:])
        assert stored_size(path) == (640, 48) == read_image(path).shape[1::-1]
    for cut in (0, 1, 9, 20):
        path.write_bytes(data[:cut])
        assert stored_size(path) is None
    assert stored_size(tmp_path / "none.png") is None


def test_t22_the_usual_size_is_that_of_most_images(tmp_path: Path) -> None:
    paths = [tmp_path / f"{k}.png" for k in range(5)]
    for path, width in zip(paths, (10, 80, 80, 80, 20), strict=True):
        cv2.imwrite(str(path), np.zeros((10, width, 3), np.uint8))
    paths[3].write_bytes(b"")
    assert usual_size(paths) == (80, 10) and usual_size(paths[3:4]) is usual_size([]) is None


def test_t22_the_terrace_of_1920_columns_has_images_of_480(data_folder: Path) -> None:
    """Its transforms.json is for four times the size: as it was published."""
    scene, faults = inspect_scene(f"nerfstudio:{data_folder / 'terrace'}")
    camera = scene.intrinsics
    assert (camera.width, camera.height) == (480, 270) and len(scene.images) == 302 and not faults.refused
    assert (camera.fx, camera.cx) == pytest.approx((1676.0809 / 4, 961.4256 / 4 - 0.5), rel=1e-6)
    assert Undistorter(camera)(read_image(scene.images[0].path)).shape == (270, 480, 3)

"""Scene coordinates from the command line: learnt from pictures with depth, run as any other scene model."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from training_runs import ROOT, figures, train

from transposenet_core.formats import load_scene
from transposenet_core.image_files import read_image
from transposenet_core.localizer import Localizer

WIDTH, HEIGHT, FOCAL, WALL_M = 80, 60, 65.625, 2.0
SMALL = ["picture.smaller_edge=48", "picture.height=48", "picture.width=64", "model.options.layers=1", "device=cpu"]
SMALL += ["model.options.width=64", "model.options.mlp_width=64", "validate_every=1", "hold_out=false"]


@pytest.fixture
def wall(tmp_path: Path) -> Path:
    """A camera slides along a painted wall two metres ahead: pictures, depth and poses that fit each other."""
    rng = np.random.default_rng(5)
    paint = cv2.resize(rng.integers(0, 256, (24, 36, 3), dtype=np.uint8), (288, 192), interpolation=cv2.INTER_CUBIC)
    for number, split in ((1, "Train"), (2, "Test")):
        folder = tmp_path / "wall" / f"seq-{number:02d}"
        folder.mkdir(parents=True)
        (tmp_path / "wall" / f"{split}Split.txt").write_text(f"sequence{number}\n")
        for index in range(16):
            left, top = 12 * index + 4 * number, int(60 + 50 * np.sin(index))
            T = np.eye(4)
            T[:3, 3] = WALL_M * left / FOCAL, WALL_M * top / FOCAL, 0
            stem = folder / f"frame-{index:06d}"
            cv2.imwrite(f"{stem}.color.png", paint[top : top + HEIGHT, left : left + WIDTH])
            cv2.imwrite(f"{stem}.depth.png", np.full((HEIGHT, WIDTH), 1000 * WALL_M, np.uint16))
            np.savetxt(f"{stem}.pose.txt", T)
    np.savetxt(tmp_path / "wall" / "color-intrinsics.txt", [[FOCAL, 0, 39.5], [0, FOCAL, 29.5], [0, 0, 1]])
    np.savetxt(tmp_path / "wall" / "depth-intrinsics.txt", [[525, 0, 319.5], [0, 525, 239.5], [0, 0, 1]])
    return tmp_path / "wall"


def arguments(scene: Path, out: Path, *more: str) -> list[str]:
    config = str(ROOT / "config" / "train" / "scene_coordinates.yaml")
    return ["--config", config, "--data", f"7scenes:{scene}", "--out", str(out), *SMALL, *more]


def test_it_leaves_a_scene_model_that_runs(wall: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert train(arguments(wall, out, "epochs=2", "batch_size=8")) == 0
    assert len(figures(out, "train_points")) == len(figures(out, "train_depth")) == len(figures(out, "val_score")) == 2
    localizer = Localizer(out, device="cpu")
    # 80x60 shrunk to 64x48: the window's own camera.
    np.testing.assert_allclose(localizer.scene_model.options["camera"], [52.5, 52.5, 31.5, 23.5], atol=1e-6)
    image = load_scene(f"7scenes:{wall}").select("test")[0]
    assert localizer.localize(read_image(image.path)).localized


def test_a_resumed_run_is_the_unbroken_one(wall: Path, tmp_path: Path) -> None:
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    assert train(arguments(wall, whole, "epochs=3", "batch_size=8", "schedule.kind=step")) == 0
    assert train(arguments(wall, broken, "epochs=2", "batch_size=8", "schedule.kind=step")) == 0
    more = ["--resume", "--override"]
    assert train(arguments(wall, broken, "epochs=3", "batch_size=8", "schedule.kind=step", *more)) == 0
    assert figures(broken)[-1] == figures(whole)[-1]


@pytest.mark.parametrize(
    ("spoil", "more", "sentence"),
    [
        ("frame-000003.depth.png", [], "there is no depth picture beside it, which model scene_coordinates needs"),
        ("none", ["heads.epochs=2"], "model 'scene_coordinates' has no position_head"),
        ("all", [], "has no depth pictures, which model scene_coordinates needs"),
    ],
)
def test_t11_what_cannot_be_learnt_is_said(
    wall: Path, tmp_path: Path, capsys: pytest.CaptureFixture, spoil: str, more: list[str], sentence: str
) -> None:
    for path in wall.rglob("*.depth.png"):
        if spoil in (path.name, "all"):
            path.unlink()
    assert train(arguments(wall, tmp_path / "out", "epochs=1", *more)) == 2
    assert sentence in capsys.readouterr().err


@pytest.mark.long
def test_it_learns_a_wall(wall: Path, tmp_path: Path) -> None:
    """Between the training views, which are 37 cm apart: the geometry carries, not the memory."""
    out = tmp_path / "out"
    more = ["augmentation.virtual_rotation.roll=3", "augmentation.virtual_rotation.yaw=3", "ema_decay=0"]
    more += ["augmentation.virtual_rotation.pitch=3", "augmentation.virtual_translation=0.1", "validate_every=100"]
    assert train(arguments(wall, out, "epochs=300", "batch_size=8", "augmentation.colour_jitter=0.1", *more)) == 0
    localizer, errors = Localizer(out, device="cpu"), []
    for image in load_scene(f"7scenes:{wall}").select("test"):
        estimate = localizer.localize(read_image(image.path))
        errors.append(np.linalg.norm(estimate.pose.position - image.pose.position))
    print(f"median {np.median(errors):.3f} m")
    assert np.median(errors) < 0.10

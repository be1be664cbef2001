"""Scene coordinates from the command line: learnt from images with depth, run as any other scene model."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from some_labels import labels
from training_runs import ROOT, figures, train

from transposenet_core.errors import UserError
from transposenet_core.formats import load_scene
from transposenet_core.image_files import read_image
from transposenet_core.localizer import Localizer
from transposenet_core.models import build_model
from transposenet_core.training.config import LossConfig
from transposenet_core.training.config_reading import load_config
from transposenet_core.training.data.distances import Distances
from transposenet_core.training.losses.points import AuxiliaryPointsLoss
from transposenet_core.training.losses.pose import FixedWeightPoseLoss
from transposenet_core.training.losses.registry import pose_loss
from transposenet_core.training.network import with_typical_depth

WIDTH, HEIGHT, FOCAL, WALL_M = 80, 60, 65.625, 2.0
PRESET = ROOT / "config" / "train" / "scene_coordinates.yaml"
SMALL = ["image.smaller_edge=48", "image.height=48", "image.width=64", "model.options.layers=1", "device=cpu"]
SMALL += ["model.options.width=64", "model.options.mlp_width=64", "validate_every=1", "hold_out=false"]


@pytest.fixture
def wall(tmp_path: Path) -> Path:
    """A camera slides along a painted wall two metres ahead: images, depth and poses that fit each other."""
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
    return ["--config", str(PRESET), "--data", f"7scenes:{scene}", "--out", str(out), *SMALL, *more]


def test_it_leaves_a_scene_model_that_runs(wall: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert train(arguments(wall, out, "epochs=2", "batch_size=8")) == 0
    assert len(figures(out, "train_points")) == len(figures(out, "train_depth")) == len(figures(out, "val_score")) == 2
    localizer = Localizer(out, device="cpu")
    # 80x60 shrunk to 64x48: the window's own camera.
    np.testing.assert_allclose(localizer.scene_model.options["camera"], [52.5, 52.5, 31.5, 23.5], atol=1e-6)
    # All of the wall is two metres away, and the training says how well it knows its own frames.
    assert localizer.scene_model.options["typical_depth"] == 2.0
    assert len(figures(out, "trained_median_m")) == len(figures(out, "trained_median_deg")) == 1
    image = load_scene(f"7scenes:{wall}").select("test")[0]
    estimate, stated = localizer.localize(read_image(image.path)), localizer.scene_model.scenes[0]
    assert estimate.localized and "the network's covariance of this frame" in estimate.covariance_source
    calibration = stated.calibration["scene_coordinates"]
    assert min(calibration.covariance_scale) > 0
    held_out = "none were held out" not in stated.held_out_error.source
    assert (calibration.largest_sigma_m is not None) == held_out  # memorised frames set no limit


def test_a_scene_model_from_before_the_typical_depth_is_a_start(wall: Path, tmp_path: Path) -> None:
    """Its options do not name it: it stays what it was, whatever the depth images say."""
    first, more = tmp_path / "first", ["epochs=1", "batch_size=8"]
    assert train(arguments(wall, first, *more, "model.options.typical_depth=0")) == 0
    description = json.loads((first / "scene.json").read_text())
    del description["architecture"]["options"]["typical_depth"]
    (first / "scene.json").write_text(json.dumps(description))
    # So it does in a run that is resumed: depth images may have been made anew.
    config, measured = load_config(PRESET, []), Distances(torch.ones(1), torch.ones(1), 3.0)
    for run, depth in ((first, 0.0), (tmp_path / "not validated yet", 3.0), (None, 3.0)):
        assert with_typical_depth(config, measured, run).model.options["typical_depth"] == depth
    assert train(arguments(wall, tmp_path / "second", *more, f"start_from={first}")) == 0
    second = json.loads((tmp_path / "second" / "scene.json").read_text())
    assert second["architecture"]["options"]["typical_depth"] == 0.0


def test_some_training_frames_may_lack_depth(wall: Path, tmp_path: Path) -> None:
    for path in sorted(wall.rglob("seq-01/*.depth.png"))[::2]:
        path.unlink()
    assert train(arguments(wall, tmp_path / "out", "epochs=1", "batch_size=8")) == 0


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
        ("none", ["image.crops=4"], "image.crops is 4, but model 'scene_coordinates' has the rays of the centre"),
        ("none", ["heads.epochs=2"], "model 'scene_coordinates' has no heads to train alone"),
        ("all", [], "has no depth images, which model scene_coordinates needs; `transposenet map"),
        ("black", ["--no-check"], "none of the depth images of its training frames has a depth between 6.2e-05 and"),
    ],
)
def test_t11_what_cannot_be_learnt_is_one_sentence(
    wall: Path, tmp_path: Path, capsys: pytest.CaptureFixture, spoil: str, more: list[str], sentence: str
) -> None:
    for path in wall.rglob("*.depth.png"):
        if spoil == "all":
            path.unlink()
        if spoil == "black":
            cv2.imwrite(str(path), np.zeros((HEIGHT, WIDTH), np.uint16))
    assert train(arguments(wall, tmp_path / "out", "epochs=1", *more)) == 2
    assert sentence in capsys.readouterr().err


@pytest.mark.long
@pytest.mark.timeout(400)
def test_it_learns_a_wall(wall: Path, tmp_path: Path) -> None:
    """Between the training views, which are 37 cm apart: the geometry carries, not the memory."""
    out = tmp_path / "out"
    more = ["augmentation.virtual_rotation.roll=3", "augmentation.virtual_rotation.yaw=3", "ema_decay=0"]
    more += ["augmentation.virtual_rotation.pitch=3", "augmentation.relative_translation=0.05", "validate_every=100"]
    assert train(arguments(wall, out, "epochs=300", "batch_size=8", "augmentation.colour_jitter=0.1", *more)) == 0
    localizer, errors = Localizer(out, device="cpu"), []
    for image in load_scene(f"7scenes:{wall}").select("test"):
        estimate = localizer.localize(read_image(image.path))
        errors.append(np.linalg.norm(estimate.pose.position - image.pose.position))
    print(f"median {np.median(errors):.3f} m")
    assert np.median(errors) < 0.10


def test_transposenets_auxiliary_head_learns_and_is_in_no_scene_model(wall: Path, tmp_path: Path) -> None:
    config = str(ROOT / "config" / "train" / "transposenet_fast.yaml")
    small = [*SMALL, "model.options.head_width=64", "loss.points=2", "augmentation.virtual_rotation.yaw=5"]
    run = ["--config", config, "--data", f"7scenes:{wall}", "--out", str(tmp_path / "out"), *small, "batch_size=8"]
    assert train([*run, "epochs=3", "optimizer.learning_rate=3e-3", "schedule.warmup_epochs=0"]) == 0
    away = figures(tmp_path / "out", "train_points")
    assert len(away) == 3 and away[2] < 0.9 * away[0]
    network = Localizer(tmp_path / "out", device="cpu").scene_model.network
    channels, centres, rays = network.cells_seen()
    assert (channels, centres.shape, rays.shape) == (40, (48, 2), (48, 3))
    assert {name.split(".")[0] for name in network.state_dict()} == {
        "backbone",
        "position_encoder",
        "orientation_encoder",
        "position_head",
        "orientation_head",
    }
    assert "loss.head.0.weight" in load_file(tmp_path / "out" / "checkpoint.safetensors")  # for --resume


def test_points_seen_are_the_walls_and_their_distance_is_weighed() -> None:
    network = build_model("transposenet", image_size=(48, 64), layers=1, width=16, camera=(52.5, 52.5, 31.5, 23.5))
    loss = AuxiliaryPointsLoss(FixedWeightPoseLoss(1.0), network, weight=3.0)
    position, rotation = (
        torch.tensor([[1.0, 2, 3]]),
        torch.tensor([[0.0, 0, 0, 1]]),
    )  # half a turn about the optical axis
    depth = torch.full((1, 48, 64), WALL_M)
    depth[:, :24] = 0  # half of the image has none
    points, _, known = loss.seen(labels(position, rotation, depth))
    assert known.sum() == 24
    _, centres, _ = network.cells_seen()
    x, y = centres[30]
    expected = [1 - WALL_M * (x - 31.5) / 52.5, 2 - WALL_M * (y - 23.5) / 52.5, 3 + WALL_M]
    torch.testing.assert_close(points[0, 30], torch.tensor(expected))
    torch.nn.init.zeros_(loss.head[2].weight)
    loss.head[2].bias.data = points[0, 30].clone()
    output = {"position": position, "orientation": rotation, "cells_map": torch.rand(1, 40, 6, 8)}
    terms = loss(output, labels(position, rotation, depth))
    away = (points - points[0, 30]).norm(dim=-1)[0, 24:].mean()
    torch.testing.assert_close(terms["points"], away)
    torch.testing.assert_close(terms["loss"], 3 * away)


def test_t11_a_model_without_cells_is_refused() -> None:
    with pytest.raises(UserError, match=r"loss.points is 1.*transposenet_fast have one, for others set loss.points=0"):
        pose_loss(LossConfig(points=1.0), build_model("poselstm"))

"""What labels and recordings cost: the scripts train what they say, and their tables hold what was measured."""

import csv
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from small_scene import write_small_scene
from training_runs import SMALL

from benchmarks import depth_offset, label_noise, recording_amount
from transposenet_core.formats import load_scene

SMALL = [key for key in SMALL if not key.startswith("validate_every")]


def arguments(scene: Path, out: Path) -> list[str]:
    """With a split file of one sequence for training and one for the test, as the folds are."""
    split = scene.parent / "split.csv"
    images = load_scene(f"7scenes:{scene}").images
    split.write_text("split,image\n" + "".join(f"{image.split},{scene.name}/{image.name}\n" for image in images))
    return ["--data", f"7scenes:{scene}", "--split", str(split), "--out", str(out), *SMALL, "batch_size=4", "epochs=1"]


@pytest.fixture
def scene(tmp_path: Path) -> Path:
    return write_small_scene(tmp_path / "desk", frames=16)


def test_fewer_frames_are_trained_on_with_as_many_steps(scene: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert recording_amount.main([*arguments(scene, out), "--every", "1", "4"]) == 0
    with open(out / "every_4.csv", newline="") as file:
        splits = [row["split"] for row in csv.DictReader(file)]
    assert (splits.count("train"), splits.count("test")) == (4, 16)
    results = {n: json.loads((out / f"every_{n}" / "result.json").read_text())["result"] for n in (1, 4)}
    assert (results[1]["trained_on"], results[1]["epochs"]) == (16, 1)
    assert (results[4]["trained_on"], results[4]["epochs"]) == (4, 4)
    lines = (out / "recording_amount.md").read_text().splitlines()
    assert f"{results[4]['median_m']:.3f} m {results[4]['median_deg']:.2f} deg" in lines[3]
    assert (out / "recording_amount.png").stat().st_size > 10_000


def test_the_nearest_training_view_is_the_nearest(scene: Path) -> None:
    whole = load_scene(f"7scenes:{scene}")
    distances, chosen = recording_amount.nearest(whole)
    training, test = whole.select("train"), whole.select("test")
    by_hand = [np.linalg.norm(t.pose.position - test[5].pose.position) for t in training]
    assert chosen[5] in np.argsort(by_hand)[:2]
    assert distances[5] >= min(by_hand) / 0.15 - 1e-9


def test_each_noise_is_trained_with_once(scene: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    more = ["--position-noise", "0.05", "--rotation-noise"]
    assert label_noise.main([*arguments(scene, out), *more]) == 0
    assert sorted(path.name for path in out.iterdir() if path.is_dir()) == ["noise_0cm_0deg", "noise_5cm_0deg"]
    config = json.loads((out / "noise_5cm_0deg" / "result.json").read_text())["setup"]["config"]
    assert config["labels"] == {"position_noise": 0.05, "rotation_noise": 0.0}
    assert "5 cm" in (out / "label_noise.md").read_text() and (out / "label_noise.png").is_file()


@pytest.mark.parametrize("offset_px", [-6, 3])
def test_the_depth_cameras_place_is_found(scene: Path, capsys: pytest.CaptureFixture[str], offset_px: int) -> None:
    """Boxes at 1 m before a wall at 2 m; the colour picture shows them shifted as from another place."""
    (scene / "depth-intrinsics.txt").write_text("500 0 320\n0 500 240\n0 0 1\n")
    (scene / "color-intrinsics.txt").write_text("500 0 320\n0 500 240\n0 0 1\n")
    rng = np.random.default_rng(1)
    for path in (scene / "seq-01").glob("*.color.png"):
        depth_HW, colour_HW = np.full((480, 640), 2000, np.uint16), rng.integers(40, 100, (480, 640), dtype=np.uint8)
        for x, y in rng.integers(40, 400, (4, 2)):
            depth_HW[y : y + 50, x : x + 60] = 1000
            colour_HW[y : y + 50, x + offset_px : x + offset_px + 60] = 200
        cv2.imwrite(str(path).replace("color", "depth"), depth_HW)
        cv2.imwrite(str(path), colour_HW)
    arguments = ["--data", f"7scenes:{scene}", "--frames", "5", "--range", "0.02", "--step", "0.002"]
    assert depth_offset.main(arguments) == 0
    found = capsys.readouterr().out
    assert f"best along x: {2 * offset_px:+d} mm" in found and "best along y: " in found  # f 500 at 1 m: 2 mm a pixel


def test_a_scene_without_depth_has_no_depth_camera(scene: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert depth_offset.main(["--data", f"7scenes:{scene}"]) == 2
    assert "has no depth pictures; record with a depth camera" in capsys.readouterr().err

"""What labels and recordings cost: the scripts train what they say, and their tables hold what was measured."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from small_scene import write_small_scene
from training_runs import SMALL

from benchmarks import label_noise, recording_amount
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

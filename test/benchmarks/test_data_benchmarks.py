"""Label noise and recording amount: the scripts train what they document, and their tables have what was measured."""

import csv
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from small_scene import write_small_scene
from training_runs import SMALL

from benchmarks import depth_offset, error_by_distance, label_noise, recording_amount, time_offsets
from transposenet_core.dataset_check.time_offset import TimeOffset
from transposenet_core.estimate import Estimate
from transposenet_core.evaluation.errors import write_predictions
from transposenet_core.formats import load_scene
from transposenet_core.geometry.pose import Pose

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
    distances, chosen = error_by_distance.nearest(whole)
    training, test = whole.select("train"), whole.select("test")
    by_hand = [np.linalg.norm(t.pose.position - test[5].pose.position) for t in training]
    assert chosen[5] in np.argsort(by_hand)[:2]
    assert distances[5] >= min(by_hand) / 0.15 - 1e-9


def estimate(pose: Pose) -> Estimate:
    return Estimate(pose=pose, covariance_66=np.eye(6), localized=True, reason="", scene="desk", map_frame="map")


def test_errors_stand_beside_their_distance(scene: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Predictions 5 cm off everywhere, evaluated as two folds; retrieval has the medians of copied poses."""
    data = arguments(scene, tmp_path / "out")[:4]
    whole = load_scene(data[1], data[3])
    test, predictions = whole.select("test"), tmp_path / "predictions.csv"
    poses = [Pose(image.pose.position + [0.03, 0, 0.04], image.pose.orientation) for image in test]
    write_predictions(predictions, [image.name for image in test], [estimate(pose) for pose in poses])
    fold = ["--split", data[3], "--predictions", str(predictions)]
    assert error_by_distance.main([*data[:2], *fold, *fold, "--out", str(tmp_path / "a.png")]) == 0
    text = capsys.readouterr().out
    rows = [line.split("|")[2:5] for line in text.splitlines() if " to " in line]
    assert sum(int(count) for count, *_ in rows) in range(22, 33)  # bins of fewer than 5 frames are left out
    assert {model.strip() for _, model, _ in rows} == {"0.050 m 0.00 deg"} and "32 test frames of 2 splits" in text
    metres_N, distances_N = error_by_distance.copied(whole)[0], error_by_distance.nearest(whole)[0]
    bins = error_by_distance.ByDistance(np.concatenate([distances_N] * 2))
    assert f"{bins.medians(np.concatenate([metres_N] * 2))[0]:.3f} m" in rows[0][2]
    assert (tmp_path / "a.png").stat().st_size > 10_000
    assert error_by_distance.main([*data[:2], *fold, "--split", data[3], "--out", str(tmp_path / "b.png")]) == 2
    assert "--split is given 2 times and --predictions 1 times" in capsys.readouterr().err


def test_each_noise_level_is_trained_once(scene: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    more = ["--position-noise", "0.05", "--rotation-noise"]
    assert label_noise.main([*arguments(scene, out), *more]) == 0
    assert sorted(path.name for path in out.iterdir() if path.is_dir()) == ["noise_0cm_0deg", "noise_5cm_0deg"]
    config = json.loads((out / "noise_5cm_0deg" / "result.json").read_text())["setup"]["config"]
    assert config["labels"] == {"position_noise": 0.05, "rotation_noise": 0.0}
    assert "5 cm" in (out / "label_noise.md").read_text() and (out / "label_noise.png").is_file()


@pytest.mark.parametrize("offset_px", [-6, 3])
def test_the_position_of_the_depth_camera_is_found(
    scene: Path, capsys: pytest.CaptureFixture[str], offset_px: int
) -> None:
    """Boxes at 1 m before a wall at 2 m; the colour image shows them shifted as from another position."""
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
    assert "has no depth images; record with a depth camera" in capsys.readouterr().err


def test_reported_time_offsets_are_counted_by_what_was_there(small_scene: Path, capsys: pytest.CaptureFixture) -> None:
    for seconds, end in ((None, "unknown"), (0.0, "none"), (0.09, "reported"), (0.2, "wrong")):
        assert time_offsets.outcome(0.1, 0.1, TimeOffset(seconds, 0.9, 0.01, 50, "")) == end
    assert time_offsets.main(["--data", f"7scenes:{small_scene}"]) == 0
    rows = [line.split("|")[1:-1] for line in capsys.readouterr().out.splitlines()[2:]]
    assert [int(row[2]) for row in rows[:3]] == [1, 0, 0]  # 48 images make one stretch of 40
    assert all(int(row[2]) == sum(int(row[k]) for k in (3, 5, 6)) for row in rows)

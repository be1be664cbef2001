"""Figures, baselines, predictions and images; on real data they agree with an independent evaluator to 1e-6."""

import csv
import json
import runpy
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from made_tracks import LEVEL
from matplotlib.figure import Figure
from scipy.spatial.transform import Rotation
from untrained import HELD_OUT, save_untrained

from transposenet_core.evaluation.baselines import ThumbnailRetrieval
from transposenet_core.evaluation.calibration import error_std
from transposenet_core.evaluation.errors import PREDICTION_COLUMNS, pose_errors, summarise, table
from transposenet_core.evaluation.report import EvaluatedFrame, _draw_tracks, _unbroken, choose_frames, draw_report
from transposenet_core.formats import load_scene
from transposenet_core.geometry.covariance import error_vectors
from transposenet_core.geometry.pose import Pose
from transposenet_core.image_files import read_image
from transposenet_core.preprocessing import Preprocessing
from transposenet_core.scene_model import MappedScene, SceneModel

ROOT = Path(__file__).resolve().parents[3]
evaluate = runpy.run_path(str(ROOT / "training" / "evaluate.py"))["main"]


def test_e07_figures_agree_with_the_independent_evaluator(data_folder: Path, tmp_path: Path) -> None:
    fold, scorer = "redkitchen_b50_fold3", data_folder.parent / "tools" / "score.py"
    if not scorer.is_file():
        pytest.skip(f"the independent evaluator is not at {scorer}")
    split = data_folder / "splits" / f"{fold}.csv"
    data = f"7scenes:{data_folder / '7scenes'}"
    some = (read_image(image.path) for image in load_scene(data, split).select("train")[::60])
    model = save_untrained(tmp_path / "model", some, Preprocessing(32, (32, 40)))
    predictions, ours = tmp_path / "predictions.csv", tmp_path / "ours.json"
    more = ["--predictions", str(predictions), "--json", str(ours), "--report", str(tmp_path)]
    assert evaluate([str(model), "--data", data, "--split", str(split), *more]) == 0
    written = json.loads(ours.read_text())
    covariance, aligned = written.pop("covariance"), written.pop("aligned_se3")
    mine = [row for row in written.values() if isinstance(row, dict) and "count" in row]
    assert aligned is None  # random weights: the estimates cannot be aligned with ground truth
    assert len(covariance["within_one_sigma"]) == 6 and min(covariance["nees"].values()) > 1  # random weights
    theirs = []
    for argument in ([str(predictions)], ["--baseline"]):
        subprocess.run(
            [sys.executable, scorer, fold, *argument, "--json", tmp_path / "j"], check=True, stdout=subprocess.DEVNULL
        )
        theirs.append(json.loads((tmp_path / "j").read_text()))
    for row, expected in zip(mine, (theirs[0][0], *theirs[1]), strict=True):
        assert row["count"] == expected["n"] == 250
        for key in ("median_m", "median_deg", "mean_m", "mean_deg", *(k for k in row if k.startswith("recall"))):
            assert row[key] == pytest.approx(expected[key], abs=1e-6), key
    assert cv2.imread(str(tmp_path / "report.png")).shape[0] > 500


def test_a_small_scene_is_evaluated_from_the_command_line(
    small_scene: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    some = (read_image(image.path) for image in load_scene(small_scene).images[::6])
    model = save_untrained(tmp_path / "model", some, Preprocessing(32, (32, 40)))
    predictions = tmp_path / "p.csv"
    assert evaluate([str(model), "--data", str(small_scene), "--predictions", str(predictions)]) == 0
    printed = capsys.readouterr().out
    assert "nearest-neighbour retrieval" in printed and "constant pose" in printed
    assert "localized 24 of 24 frames" in printed
    rows = list(csv.DictReader(predictions.read_text().splitlines()))
    assert list(rows[0]) == PREDICTION_COLUMNS and len(rows) == 24
    assert [float(rows[0][f"sigma_{axis}"]) for axis in "xyz"] == pytest.approx([0.1, 0.2, 0.3])
    assert evaluate([str(tmp_path / "absent"), "--data", str(small_scene)]) == 2
    assert "no such folder" in capsys.readouterr().err


def rotated(degrees: float) -> Pose:
    half = np.radians(degrees) / 2
    return Pose([degrees / 100, 0, 0], [np.cos(half), 0, 0, np.sin(half)])


def test_crops_are_set_by_evaluate(small_scene: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    """As many windows as requested, whatever the model's own number, and their mean."""
    images = load_scene(small_scene).images
    model = save_untrained(tmp_path / "model", [read_image(i.path) for i in images[::6]], Preprocessing(48, (32, 40)))
    written = SceneModel.load(model)
    written.preprocessing = replace(written.preprocessing, crops=4)
    written.save(tmp_path / "four")
    found = []
    for name, more in (("model", ["--crops", "4"]), ("four", []), ("model", ["--crops", "1"])):
        there = ["--data", str(small_scene), "--device", "cpu", "--predictions", str(tmp_path / "p.csv")]
        assert evaluate([str(tmp_path / name), *there, *more]) == 0
        found.append((tmp_path / "p.csv").read_text())
    assert found[0] == found[1] != found[2]
    assert evaluate([str(model), "--data", str(small_scene), "--crops", "0"]) == 2
    assert "--crops 0: must be at least 1 window" in capsys.readouterr().err
    demo = str(ROOT / "demo" / "model")  # of scene coordinates
    assert evaluate([demo, "--data", str(small_scene), "--crops", "4"]) == 2
    assert "knows the rays of the centre window alone" in capsys.readouterr().err


def test_figures_of_known_errors() -> None:
    ground_truth = [rotated(0)] * 5
    metres, degrees = pose_errors([rotated(d) for d in (0, 2, 4, 12, 100)], ground_truth)
    np.testing.assert_allclose(metres, [0, 0.02, 0.04, 0.12, 1.0])
    np.testing.assert_allclose(degrees, [0, 2, 4, 12, 100], atol=1e-9)
    figures = summarise(metres, degrees)
    assert (figures.median_m, figures.median_deg) == pytest.approx((0.04, 4.0))
    assert (figures.recall_5cm_5deg, figures.recall_25cm_10deg) == pytest.approx((0.6, 0.6))
    position_std, rotation_std = error_std(error_vectors([rotated(3), rotated(-3)], ground_truth[:2]))
    np.testing.assert_allclose(position_std, [0.03, 0, 0], atol=1e-12)
    np.testing.assert_allclose(rotation_std, [0, 0, np.radians(3)], atol=1e-9)


def test_e05_nothing_localized_is_no_division_by_zero(tmp_path: Path) -> None:
    figures = summarise(np.zeros(0), np.zeros(0))
    assert figures.count == 0 and set(list(figures.to_dict().values())[1:]) == {None}
    assert "nan" in table({"ours": figures})
    frames = [EvaluatedFrame(0.1 * k, rotated(k), None) for k in range(4)]
    assert choose_frames(frames) == []
    draw_report(tmp_path / "r.png", "nothing", frames, MappedScene("room", "map", HELD_OUT))
    assert cv2.imread(str(tmp_path / "r.png")) is not None


@pytest.mark.parametrize(("up", "labels"), [("z", ("map x", "map y")), ("y", ("map x", "map -z"))])
def test_t27_a_drive_is_drawn_from_above_and_not_mirrored(up: str, labels: tuple[str, str]) -> None:
    """A camera that climbs more than it travels, looking down by 38 degrees, in a z-up and a y-up map."""
    angle_N = np.linspace(0, 0.6, 20)
    z_up_N3 = np.column_stack([np.cos(angle_N), np.sin(angle_N), 5 * angle_N])
    looks = Rotation.from_euler("ZX", np.column_stack([angle_N, np.full(20, -np.radians(38))])) * LEVEL
    R_map_level = Rotation.identity() if up == "z" else Rotation.from_euler("x", -90, degrees=True)
    quaternions_N4 = (R_map_level * looks).as_quat(scalar_first=True)
    poses = [Pose(p, q) for p, q in zip(R_map_level.apply(z_up_N3), quaternions_N4, strict=True)]
    axes = Figure().subplots()
    frames = [EvaluatedFrame(k / 10, pose, pose) for k, pose in enumerate(poses)]
    _draw_tracks(axes, frames, MappedScene("room", "map", HELD_OUT), [])
    assert (axes.get_xlabel(), axes.get_ylabel()) == tuple(f"{label} [m]" for label in labels)
    (track,) = [line for line in axes.lines if line.get_label() == "ground truth"]
    np.testing.assert_allclose(track.get_xydata(), z_up_N3[:, :2], atol=1e-9)  # turning left stays turning left


def test_no_line_leads_over_a_gap() -> None:
    assert _unbroken(np.array([0, 1, 2, 50, 51, 52.0])) == [slice(0, 3), slice(3, 6)]
    assert _unbroken(np.arange(5.0)) == [slice(0, 5)]
    assert _unbroken(np.array([3.0])) == [slice(0, 1)]


def test_retrieval_finds_an_image_under_other_light() -> None:
    rng = np.random.default_rng(0)
    images = [cv2.resize(rng.integers(0, 256, (6, 8, 3), dtype=np.uint8), (160, 120)) for _ in range(10)]
    retrieval = ThumbnailRetrieval(images, [rotated(k) for k in range(10)])
    darker = (0.7 * images[4].astype(float) + 10).astype(np.uint8)
    assert retrieval.lookup(darker).position[0] == pytest.approx(0.04)
    with pytest.raises(ValueError, match="10 images for 1 poses"):
        ThumbnailRetrieval(images, [rotated(0)])

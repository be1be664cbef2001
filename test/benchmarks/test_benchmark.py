"""The benchmark from the command line: real and generated scenes, whole and partial sets, repeated and resumed."""

import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from small_cambridge import write_small_cambridge
from small_scene import write_small_scene
from training_runs import ROOT, SMALL, figures

from benchmarks.benchmark import CAMBRIDGE, main

PROGRAM = ROOT / "benchmarks" / "benchmark.py"
TINY = [*SMALL, "heads.epochs=0"]
Sentences = pytest.CaptureFixture[str]


def table_row(text: str, name: str, number: int = 0) -> list[str]:
    """The cells of the `number`-th row that starts with `name`."""
    rows = [line for line in text.splitlines() if line.startswith(f"| {name}")]
    return [cell.strip() for cell in rows[number].strip("|").split("|")][1:]


def medians(scene: Path, run: Path) -> tuple[float, float]:
    """Of the predictions in `run` against the pose files, computed without the project's code."""
    lines = [line.split(",") for line in (run / "predictions.csv").read_text().splitlines()[1:]]
    metres, degrees = [], []
    for name, *numbers in lines:
        T = np.loadtxt(scene / f"{name.split('.')[0]}.pose.txt")
        x, y, z, *wxyz = map(float, numbers[:7])
        metres.append(np.linalg.norm(np.array([x, y, z]) - T[:3, 3]))
        rotation = Rotation.from_matrix(T[:3, :3]).inv() * Rotation.from_quat(wxyz, scalar_first=True)
        degrees.append(np.degrees(rotation.magnitude()))
    return float(np.median(metres)), float(np.median(degrees))


def test_a_partial_set_of_real_scenes(data_folder: Path, tmp_path: Path, capsys: Sentences) -> None:
    data, out = data_folder / "7scenes", tmp_path / "out"
    command = ["7scenes", "--data", str(data), "--out", str(out), *TINY, "epochs=1"]
    assert main(command) == 0
    output = capsys.readouterr().out
    assert f"redkitchen: left out, {data / 'redkitchen'} has no TrainSplit.txt and no TestSplit.txt" in output
    assert "chess: left out, there is no folder" in output
    text = (out / "table.md").read_text()
    assert text in output
    shown = table_row(text, "transposenet (this run)")
    assert shown[:6] == ["-"] * 6 and shown[6] != "-"
    assert table_row(text, "transposenet (this run)", 1) == ["-", "-", "-"]
    assert table_row(text, "AttLoc", 1) == ["0.20/**7.56**", "2/1", "1"]
    assert "trained on 6 frames (1 epochs), none held out" in text and "evaluated on 6 test frames" in text
    result = json.loads((out / "results.json").read_text())["scenes"]["stairs"]
    assert (result["median_m"], result["median_deg"]) == pytest.approx(
        medians(data / "stairs", out / "stairs"), abs=1e-6
    )
    assert Path(out / "stairs" / "report.png").is_file()


@pytest.mark.long
def test_a_whole_set_is_averaged_ranked_and_drawn_and_not_trained_again(tmp_path: Path, capsys: Sentences) -> None:
    data, out = tmp_path / "CambridgeLandmarks", tmp_path / "out"
    for scene in CAMBRIDGE:
        write_small_cambridge(data / scene, frames=4)
    command = ["cambridge", "--data", str(data), "--out", str(out), *TINY, "epochs=1"]
    assert main(command) == 0
    text = (out / "table.md").read_text()
    errors = [
        tuple(map(float, cell.replace("*", "").split("/"))) for cell in table_row(text, "transposenet (this run)")
    ]
    mean, ranks, final = table_row(text, "transposenet (this run)", 1)
    assert len(errors) == 4
    assert float(mean.replace("*", "").split("/")[0]) == pytest.approx(np.mean([m for m, _ in errors]), abs=0.00501)
    assert all(1 <= int(rank) <= 11 for rank in (*ranks.split("/"), final))
    image_HW3 = cv2.imread(str(out / "errors.png"))
    ours_bgr = np.array([0x2D, 0x27, 0xC1])
    assert np.all(image_HW3 == ours_bgr, axis=-1).sum() > 500  # our bars are in it
    before = {scene: (out / scene / "checkpoint.safetensors").stat().st_mtime_ns for scene in CAMBRIDGE}
    capsys.readouterr()
    assert main(command) == 0
    assert capsys.readouterr().out.count("finished before, not trained again") == 4
    assert before == {scene: (out / scene / "checkpoint.safetensors").stat().st_mtime_ns for scene in CAMBRIDGE}
    assert (out / "table.md").read_text() == text
    assert main([*command, "seed=3"]) == 2
    assert "result.json: made with another setup (config.seed was 0, is 3)" in capsys.readouterr().err


def test_one_faulty_scene_does_not_stop_the_others(tmp_path: Path, capsys: Sentences) -> None:
    for scene in CAMBRIDGE[:2]:
        write_small_cambridge(tmp_path / scene, frames=4)
    labels = tmp_path / CAMBRIDGE[0] / "dataset_train.txt"
    labels.write_text(labels.read_text() + "seq1/frame00297.png 3e9 0 0 1 0 0 0\n")
    out = tmp_path / "out"
    assert main(["cambridge", "--data", str(tmp_path), "--out", str(out), *TINY, "epochs=1"]) == 2
    complaint = capsys.readouterr().err
    assert f"error: {CAMBRIDGE[0]} failed: " in complaint and f"{labels} line 8: a camera at 3e+09 m" in complaint
    assert "that is more than 5% of them, too many to leave out" in complaint
    results = json.loads((out / "results.json").read_text())
    assert list(results["scenes"]) == [CAMBRIDGE[1]]
    assert list(results["missing"]) == [CAMBRIDGE[2], CAMBRIDGE[3], CAMBRIDGE[0]]
    table = (out / "table.md").read_text()
    assert f"{CAMBRIDGE[0]}: no result, " in table and f"{labels} line 8" in table


@pytest.mark.long
def test_an_interrupted_scene_is_resumed(tmp_path: Path) -> None:
    write_small_scene(tmp_path / "heads", frames=12)
    out, epochs = tmp_path / "out", 20
    command = [sys.executable, str(PROGRAM), "7scenes", "--data", str(tmp_path), "--out", str(out), *TINY]
    command += [f"epochs={epochs}", "validate_every=100"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 90
    while not (out / "heads" / "metrics.jsonl").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, complaint = process.communicate(timeout=60)
    assert process.returncode == 130 and "Traceback" not in complaint
    assert not (out / "heads" / "result.json").exists()
    already = len(figures(out / "heads"))
    assert already < epochs
    assert main(command[2:]) == 0
    assert figures(out / "heads", "epoch")[-1] == epochs
    assert len(figures(out / "heads")) == epochs  # each epoch once: none was trained again
    assert json.loads((out / "heads" / "result.json").read_text())["result"]["count"] == 12


def test_a_trained_scene_without_a_result_is_only_evaluated(tmp_path: Path) -> None:
    write_small_scene(tmp_path / "heads", frames=6)
    out = tmp_path / "out"
    command = ["7scenes", "--data", str(tmp_path), "--out", str(out), *TINY, "epochs=2"]
    assert main(command) == 0
    result = out / "heads" / "result.json"
    before, lines = json.loads(result.read_text())["result"], (out / "heads" / "metrics.jsonl").read_text()
    result.unlink()
    assert main(command) == 0
    assert (out / "heads" / "metrics.jsonl").read_text() == lines
    assert json.loads(result.read_text())["result"] == pytest.approx(before, abs=1e-6)


@pytest.mark.long
def test_other_frames_in_a_finished_scene_are_noticed(tmp_path: Path, capsys: Sentences) -> None:
    write_small_scene(tmp_path / "heads", frames=4)
    command = ["7scenes", "--data", str(tmp_path), "--out", str(tmp_path / "out"), *TINY, "epochs=1"]
    assert main(command) == 0
    shutil.rmtree(tmp_path / "heads")
    write_small_scene(tmp_path / "heads", frames=5)
    # In a separate process: one program reads a scene once.
    again = subprocess.run([sys.executable, str(PROGRAM), *command], capture_output=True, text=True, check=False)
    assert again.returncode == 2 and "made with another setup (frames was" in again.stderr


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["7scenes", "--data", "{here}"], "no scene of 7scenes found"),
        (["cambridge", "--data", "{here}/absent"], "no scene of cambridge found"),
        (["7scenes", "--data", "{here}/room", "--config", "{here}/absent.yaml"], "absent.yaml: the configuration"),
        (["7scenes", "--data", "{here}/room", "epoch=3"], "unknown key 'epoch'"),
        (["nuscenes", "--data", "{here}"], "invalid choice: 'nuscenes'"),
        (["7scenes"], "the following arguments are required: --data"),
    ],
)
def test_wrong_arguments_are_one_sentence(
    arguments: list[str], sentence: str, tmp_path: Path, capsys: Sentences
) -> None:
    write_small_scene(tmp_path / "room" / "heads", frames=2)
    try:
        code = main([*(a.format(here=tmp_path) for a in arguments), "--out", str(tmp_path / "out")])
    except SystemExit as end:  # argparse's way
        code = end.code
    complaint = capsys.readouterr().err
    assert code == 2 and sentence in complaint and "Traceback" not in complaint
    assert not (tmp_path / "out").exists()

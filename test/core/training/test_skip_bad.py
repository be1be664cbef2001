"""Faulty rows and the two programs that use a data set: refused before any work, or left out and counted."""

import runpy
from pathlib import Path

import pytest
from training_runs import ROOT, arguments, figures, train

from transposenet_core.scene_model import SceneModel

evaluate = runpy.run_path(str(ROOT / "training" / "evaluate.py"))["main"]


def test_t01_bad_rows_are_all_listed_before_training_and_left_out_on_request(
    small_scene: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (small_scene / "seq-01/frame-000003.color.png").write_bytes(b"")
    (small_scene / "seq-02/frame-000004.pose.txt").write_text("nan " * 16)
    out = tmp_path / "out"
    assert train(arguments(small_scene, out, "epochs=1")) == 2 and not out.exists()
    sentence = capsys.readouterr().err
    assert "2 faults beside 46 good images" in sentence and "--skip-bad" in sentence
    assert "frame-000003.color.png: the image is empty" in sentence and "frame-000004.pose.txt: a number" in sentence
    assert train(arguments(small_scene, out, "--skip-bad", "epochs=1")) == 0
    assert "2 faulty rows left out, 46 used" in capsys.readouterr().err
    assert len(figures(out)) > 0 and len(SceneModel.load(out).scenes[0].training_positions_N3) == 23
    evaluation = [str(out), "--data", f"7scenes:{small_scene}", "--device", "cpu"]
    assert evaluate([*evaluation, "--split", "own"]) == 2
    for more in (["--split", "own", "--skip-bad"], []):  # the model's own split does not use the faulty rows
        assert evaluate([*evaluation, *more]) == 0
        assert "of 23 frames" in capsys.readouterr().out

"""Training from the command line on a small scene: it learns, resumes to the bit, survives Ctrl-C, names mistakes."""

import json
import runpy
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from transposenet_core.checkpoint import difference
from transposenet_core.localizer import Localizer

ROOT = Path(__file__).resolve().parents[2]
SMALL = ["picture.smaller_edge=32", "picture.height=32", "picture.width=40", "model.options.layers=1", "device=cpu"]
SMALL += ["model.options.width=32", "model.options.mlp_width=32", "model.options.head_width=64", "validate_every=1"]
train = runpy.run_path(str(ROOT / "training" / "train.py"))["main"]


def arguments(scene: Path, out: Path, *more: str) -> list[str]:
    config = str(ROOT / "config" / "train" / "transposenet_cpu.yaml")
    return ["--config", config, "--data", f"7scenes:{scene}", "--out", str(out), *SMALL, *more]


def figures(out: Path) -> list[dict]:
    return [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]


def test_it_leaves_a_model_curves_and_a_checkpoint(small_scene: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert train(arguments(small_scene, out, "epochs=2")) == 0
    lines = figures(out)
    assert [line["epoch"] for line in lines if "train_position" in line] == [1, 2]
    assert any((out / "tensorboard").iterdir()) and (out / "checkpoint.safetensors").is_file()
    model = Localizer(out, device="cpu").scene_model
    assert len(model.training_positions_N3) == 24
    assert "none were held out" in model.held_out_error.source
    assert model.provenance["config"]["epochs"] == 2


@pytest.mark.long
@pytest.mark.timeout(900)
def test_it_fits_a_small_scene(small_scene: Path, tmp_path: Path) -> None:
    """At the paper's width, in a minute or two: a tenth of the constant pose's error on its own 24 views."""
    out = tmp_path / "out"
    config = str(ROOT / "config" / "train" / "transposenet_cpu.yaml")
    more = ["augmentation.colour_jitter=0.0", "augmentation.random_crop=false", "optimizer.learning_rate=5e-4"]
    more += ["picture.smaller_edge=60", "picture.height=60", "picture.width=80", "model.options.layers=1"]
    more += ["epochs=200", "validate_every=100", "device=cpu"]
    assert train(["--config", config, "--data", str(small_scene), "--out", str(out), *more]) == 0
    scores = [line["val_score"] for line in figures(out) if "val_score" in line]
    assert min(scores) < 0.2  # the sum of both medians as shares of the constant pose's, which itself has 2


def test_t06_t12_a_resumed_run_equals_the_unbroken_one_to_the_bit(small_scene: Path, tmp_path: Path) -> None:
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    same = ["epochs=3", "model.options.dropout=0.2"]
    assert train(arguments(small_scene, whole, *same)) == 0
    # Stopped by the keyboard in the first epoch and again in the second: what is whole is in the checkpoint.
    module = runpy.run_path(str(ROOT / "training" / "train.py"))
    parts, batches = module["train"].__globals__["parts"], module["train"].__globals__["parts"].batches

    def interrupted(pixels: object, size: int, generator: torch.Generator) -> Iterator[object]:
        for number, batch in enumerate(batches(pixels, size, generator)):
            if len(calls) in (1, 3) and number == 1:
                raise KeyboardInterrupt
            yield batch
        calls.append(None)

    calls = [None]
    parts.batches = interrupted
    try:
        assert module["main"](arguments(small_scene, broken, *same)) == 130
        assert Localizer(broken, device="cpu").scene_model.provenance["epoch"] == 0
        calls.append(None)
        assert module["main"](arguments(small_scene, broken, *same, "--resume")) == 130
    finally:
        parts.batches = batches
    assert Localizer(broken, device="cpu").scene_model.name == "desk"
    assert train(arguments(small_scene, broken, *same, "--resume")) == 0
    first, second = (load_file(folder / "checkpoint.safetensors") for folder in (whole, broken))
    assert first.keys() == second.keys()
    assert [key for key in first if not torch.equal(first[key], second[key])] == []


def test_ctrl_c_stops_a_running_process_with_one_sentence(small_scene: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    command = [sys.executable, str(ROOT / "training" / "train.py"), *arguments(small_scene, out, "epochs=100000")]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    deadline = time.monotonic() + 90
    while not (out / "checkpoint.safetensors").exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, complaint = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "is usable, --resume goes on" in complaint and "Traceback" not in complaint
    assert Localizer(out, device="cpu").scene_model.name == "desk"


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        (["learing_rate=1"], "unknown key 'learing_rate'"),
        (["--resume"], "there is no checkpoint to resume"),
        (["--split", "absent.csv"], "absent.csv: the split file cannot be read"),
        (["model.options.layer=2"], "did you mean 'layers'"),
        (["model.options.layers=two"], "cannot be built"),
        (["model.options.heads=3"], "width 32 cannot be shared by 3 heads"),
        (["model.name=foo"], "unknown model 'foo'"),
        (["optimizer.learning_rate=1e30", "epochs=1"], "a lower optimizer.learning_rate"),
    ],
)
def test_mistakes_are_one_sentence(
    small_scene: Path, tmp_path: Path, capsys: pytest.CaptureFixture, more: list[str], sentence: str
) -> None:
    assert train(arguments(small_scene, tmp_path / "out", *more)) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith("error: ") and sentence in error


def test_t09_a_changed_configuration_and_an_existing_run_are_refused(
    small_scene: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    out = tmp_path / "out"
    assert train(arguments(small_scene, out, "epochs=1")) == 0
    assert train(arguments(small_scene, out, "epochs=1")) == 2
    assert "holds a run already: add --resume" in capsys.readouterr().err
    assert train(arguments(small_scene, out, "epochs=1", "optimizer.learning_rate=1e-5", "--resume")) == 2
    assert "optimizer.learning_rate was 0.0003, is 1e-05" in capsys.readouterr().err
    assert "0.0003" in (out / "config.yaml").read_text()
    split = tmp_path / "other.csv"
    split.write_text("split,image\ntrain,seq-02/frame-000000.color.png\ntrain,seq-02/frame-000001.color.png\n")
    assert train(arguments(small_scene, out, "epochs=1", "--split", str(split), "--resume")) == 2
    assert "frames was" in capsys.readouterr().err


def test_difference_names_nested_keys() -> None:
    old, new = {"a": {"b": 1, "c": 2}, "d": 3}, {"a": {"b": 1, "c": 4}, "e": 5}
    assert difference(old, new) == ["a.c was 2, is 4", "d was 3, is None", "e was None, is 5"]

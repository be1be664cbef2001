"""From a data set to a pose by typing what the command before printed."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from small_scene import write_small_scene
from training_runs import SMALL

ROOT = Path(__file__).resolve().parents[3]


def do(folder: Path, command: str, *more: str) -> str:
    """What a command line prints in a shell; the test fails with it where the command does."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    line = " ".join([command, *map(shlex.quote, more)])
    done = subprocess.run(
        ["bash", "-c", line], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def next_of(output: str) -> str:
    (line,) = [line for line in output.splitlines() if line.startswith("next: ")]
    return line.removeprefix("next: ")


@pytest.mark.long  # trains, evaluates and converts through the real programs, one after the other
def test_every_command_names_one_that_exists(tmp_path: Path) -> None:
    write_small_scene(tmp_path / "my desk", 8)
    check = f"{shlex.quote(sys.executable)} {shlex.quote(str(ROOT / 'training' / 'check_dataset.py'))}"
    make_map = next_of(do(tmp_path, check, "7scenes:my desk", "--no-motion"))
    assert make_map.endswith("'7scenes:my desk' --out map_my_desk")
    train = next_of(do(tmp_path, make_map))
    # The images of noise show nothing in common: the map has no depth.
    assert train.endswith("--config transposenet_fast --data map_my_desk --out map_my_desk_model")
    evaluate = next_of(do(tmp_path, train, "--no-check", "--epochs", "1", *SMALL))
    assert evaluate.endswith("map_my_desk_model --data map_my_desk")
    evaluated = do(tmp_path, evaluate, "--device", "cpu")
    assert "localized 8 of 8 frames of my desk" in evaluated
    images = shlex.quote(str(tmp_path / "my desk" / "seq-02"))
    localize = f"{check.replace('check_dataset', 'localize')} --model map_my_desk_model {images}"
    located = do(tmp_path, localize)
    assert located.count(" yes ") == 8
    following = next_of(located)
    if "--ros-args" in following:  # the live node, which would not end
        program = next(word for word in shlex.split(following) if "=" not in word)
        assert do(tmp_path, f"command -v {shlex.quote(program)}")
    else:
        assert len(json.loads(do(tmp_path, following))) == 8

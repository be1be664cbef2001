"""The command `evaluate` by itself: light to import, and its script has the same options."""

import argparse
import json
import subprocess
import sys
from pathlib import Path

import pytest

from transposenet_core.commands import evaluate

ROOT = Path(__file__).resolve().parents[3]
HEAVY = {"torch", "torchvision", "cv2", "matplotlib", "rclpy", "rosbags"}


def test_its_help_loads_no_heavy_library() -> None:
    code = (
        "import argparse, json, sys\n"
        "from transposenet_core.commands import evaluate\n"
        "evaluate.add_arguments(parser := argparse.ArgumentParser())\n"
        "assert 'MODEL' in parser.format_help()\n"
        "print(json.dumps(sorted(sys.modules)))"
    )
    loaded = json.loads(subprocess.check_output([sys.executable, "-c", code], cwd=ROOT, text=True))
    assert "transposenet_core.commands.evaluate" in loaded
    assert not HEAVY & set(loaded)


def test_its_description_is_one_line() -> None:
    assert evaluate.HELP and "\n" not in evaluate.HELP


def test_the_script_has_the_commands_options(capsys: pytest.CaptureFixture[str]) -> None:
    evaluate.add_arguments(parser := argparse.ArgumentParser())
    script = [sys.executable, str(ROOT / "training" / "evaluate.py"), "--help"]
    text = subprocess.check_output(script, cwd=ROOT, text=True)
    options = [option for action in parser._actions for option in action.option_strings]
    assert len(options) > 10 and all(option in text for option in options)
    script[-1] = "--help-all"
    assert subprocess.check_output(script, cwd=ROOT, text=True).count("formats of --data:\n  7scenes: ") == 1
    with pytest.raises(SystemExit):
        parser.parse_args(["model"])
    assert "--data" in capsys.readouterr().err


def test_wrong_input_is_one_sentence_and_an_exit_code(tmp_path: Path) -> None:
    script = [sys.executable, str(ROOT / "training" / "evaluate.py"), str(tmp_path / "absent"), "--data", str(tmp_path)]
    done = subprocess.run(script, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.startswith("error: ") and "no such folder" in done.stderr and done.stderr.count("\n") == 1

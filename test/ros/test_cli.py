"""`transposenet`: its commands, their help, Tab completion, and the message where something is missing."""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from transposenet_core import __version__
from transposenet_core.models import model_names
from transposenet_core.presets import preset_names
from transposenet_ros import cli
from transposenet_ros.bags.writing import STORAGES
from transposenet_ros.commands import completion, make_bag
from transposenet_ros.commands.table import COMMANDS, load_command

ROOT = Path(__file__).resolve().parents[2]
HEAVY = {"torch", "cv2", "matplotlib", "rclpy", "scipy", "sklearn", "rosbags", "numpy", "tensorboard"}


def run(*command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *command],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def helped(capsys: pytest.CaptureFixture, *arguments: str) -> str:
    with pytest.raises(SystemExit) as ended:
        cli.main(list(arguments))
    assert ended.value.code == 0
    return capsys.readouterr().out


@pytest.mark.parametrize("option", ["--help", "--help-all"])
@pytest.mark.parametrize("name", COMMANDS)
def test_help_of_every_command_fits_into_100_columns(
    name: str, option: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    text = helped(capsys, name, option)
    assert text.startswith(f"usage: transposenet {name} ")
    assert max(map(len, text.splitlines())) <= 100


def test_help_all_has_every_key_and_format(capsys: pytest.CaptureFixture) -> None:
    text, short = helped(capsys, "train", "--help-all"), helped(capsys, "train", "--help")
    for part in ("  augmentation.virtual_rotation.yaw=", "  colmap: ", "  model.options of transposenet_fast:"):
        part = part.removeprefix("  ")
        assert part in text and part not in short
    for key in ("--model.name", "--epochs", "--optimizer.learning_rate", "--image.smaller_edge", "--start_from"):
        assert f"{key} VALUE" in short
    assert "  colmap: " in helped(capsys, "check", "--help-all")


def test_the_overview_names_every_command_with_its_help(capsys: pytest.CaptureFixture) -> None:
    assert cli.main(["--help"]) == 0
    text = capsys.readouterr().out
    for name, (_, help_text) in COMMANDS.items():
        assert help_text == load_command(name).HELP and f"  {name:<16}{help_text}" in text
    assert "completion bash" in text and max(map(len, text.splitlines())) <= 100
    assert cli.main(["--version"]) == 0 and capsys.readouterr().out == f"transposenet {__version__}\n"
    assert cli.main([]) == 2 and "usage: transposenet COMMAND" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("typed", "hint"),
    [
        ("trian", "'trian' is not a command; did you mean 'train'?"),
        ("make_bag", "did you mean 'make-bag'?"),
        ("zzz", "'zzz' is not a command; commands: bag-to-dataset, check, map, train, "),
        ("--confg", "'--confg' is not a command; commands: "),
    ],
)
def test_an_unknown_command_is_one_sentence(typed: str, hint: str, capsys: pytest.CaptureFixture) -> None:
    assert cli.main([typed]) == 2
    complaint = capsys.readouterr().err
    assert complaint.startswith("error: ") and hint in complaint and complaint.count("\n") == 1


def test_help_waits_for_no_heavy_library() -> None:
    """What makes `transposenet train --help` quick; rclpy from wheels would even restart Python."""
    code = (
        "import sys, json\nfrom transposenet_ros import cli\nfrom transposenet_ros.commands import table\n"
        "before = sorted(name for name in sys.modules if name.startswith('transposenet_'))\n"
        "cli.overview(), [table.load_command(name) for name in table.COMMANDS]\n"
        "from transposenet_ros.commands.completion import full_parser\nfull_parser()\n"
        "print(json.dumps([before, sorted(sys.modules)]))"
    )
    before, loaded = json.loads(run("-c", code).stdout)
    assert not [name for name in before if name.startswith("transposenet_core.training")]
    assert "transposenet_core.commands.train" in loaded and not HEAVY & set(loaded)


def test_it_runs_as_a_module_with_its_exit_code(tmp_path: Path) -> None:
    done = run("-m", "transposenet_ros.cli", "make-bag", "--data", str(tmp_path / "no"), "--out", str(tmp_path / "bag"))
    assert done.returncode == 2 and "Traceback" not in done.stderr and str(tmp_path / "no") in done.stderr
    helped = run("-m", "transposenet_ros.cli", "train", "--help")
    assert helped.returncode == 0 and helped.stdout.startswith("usage: python -m transposenet_ros.cli train ")


@pytest.mark.parametrize(
    ("typed", "missing"),
    [
        ("replay --model m --bag b", "replay needs rclpy, which "),
        ("make-bag --data d --out o", "make-bag needs rosbags, which "),
        ("bag-to-dataset b --image /i --pose /p --out o", "bag-to-dataset needs rosbags, which "),
        ("completion bash", "completion needs shtab"),
    ],
)
def test_what_is_not_installed_is_one_sentence(typed: str, missing: str) -> None:
    import yaml

    outside = str(Path(yaml.__file__).parents[1])
    code = f"import sys; sys.path.append({outside!r}); import yaml; sys.path.pop(); from transposenet_ros import cli; "
    done = run("-S", "-c", f"{code}sys.exit(cli.main({typed.split()!r}))", PYTHONPATH=str(ROOT))
    assert done.returncode == 2 and done.stderr.startswith(f"error: {missing}") and done.stderr.count("\n") == 1
    assert re.search(r"pip install|make setup", done.stderr)


def test_the_localizer_without_ros_is_one_sentence() -> None:
    done = run("-S", "-m", "transposenet_ros.localizer_program", PYTHONPATH=str(ROOT))
    assert done.returncode == 2 and done.stderr.startswith("error: localizer needs rclpy, ")


def test_choices_are_those_of_what_they_choose() -> None:
    assert list(make_bag.STORAGES) == list(STORAGES)
    assert completion.models_of_presets() == model_names()


def completed(script: str, folder: Path, *words: str) -> list[str]:
    """What a real bash offers after these words with the Tab key."""
    typed = " ".join(f"'{word}'" for word in words)
    code = f"{script}\nCOMP_WORDS=({typed})\nCOMP_CWORD={len(words) - 1}\n_shtab_transposenet\n"
    code += 'printf "%s\\n" "${COMPREPLY[@]}"'
    done = subprocess.run(["bash", "--norc"], input=code, cwd=folder, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return done.stdout.split()


def test_bash_completes_commands_options_presets_models_and_files(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    assert cli.main(["completion", "bash"]) == 0
    script = capsys.readouterr().out
    (tmp_path / "scenery.yaml").write_text("")
    (tmp_path / "scene").mkdir()
    tab = lambda *words: completed(script, tmp_path, "transposenet", *words)
    assert tab("tr") == ["train"]
    assert tab("ma") == ["map", "make-bag"]
    assert sorted(tab("")) == sorted(COMMANDS)
    assert tab("train", "--conf") == ["--config"]
    assert tab("train", "--opt") == ["--optimizer.learning_rate"]
    assert sorted(tab("train", "--config", "scene")) == ["scene", "scene_coordinates", "scenery.yaml"]
    assert tab("train", "--config", "pose") == [name for name in preset_names() if name.startswith("pose")]
    assert tab("train", "--model.name", "transp") == ["transposenet", "transposenet_fast"]
    assert tab("train", "--device", "c") == ["cpu", "cuda"]
    assert tab("localize", "--model", "sc") == ["scene"]
    assert sorted(tab("localize", "--model", "m", "sc")) == ["scene", "scenery.yaml"]
    assert tab("completion", "z") == ["zsh"]


def test_zsh_gets_a_script_of_its_own(capsys: pytest.CaptureFixture) -> None:
    assert cli.main(["completion", "zsh"]) == 0
    script = capsys.readouterr().out
    assert script.startswith("#compdef transposenet") and "presets:preset:(bayesian_posenet " in script
    assert "train:'train on posed images of a scene'" in script


def test_every_metavar_of_a_path_is_completed() -> None:
    """An option whose type is a path and whose metavar is unknown would complete nothing."""
    known = {*completion.FILES, *completion.FOLDERS, completion.PRESET}
    paths = {
        f"{action.option_strings} {action.metavar}"
        for action in completion.actions_of(completion.full_parser())
        if action.type is Path and action.metavar not in known and not isinstance(action, argparse._SubParsersAction)
    }
    assert paths == set()

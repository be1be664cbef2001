"""How programs end: exit codes, one sentence without a traceback for what a user can fix, the next command."""

import sys
from pathlib import Path

import pytest

from transposenet_core.command_line import IN_CHECKOUT, exit_code, next_command, next_node
from transposenet_core.errors import UserError

ROOT = Path(__file__).resolve().parents[2]


def raising(error: BaseException) -> None:
    raise error


def test_exit_codes_and_sentences(capsys: pytest.CaptureFixture, tmp_path: Path) -> None:
    assert exit_code(lambda: print("done")) == 0
    assert exit_code(lambda: raising(UserError("a.yaml: wrong"))) == 2
    assert exit_code(lambda: (tmp_path / "absent" / "file").write_text("")) == 2
    assert exit_code(lambda: raising(OSError("disk full"))) == 2
    assert exit_code(lambda: raising(KeyboardInterrupt())) == 130
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "error: a.yaml: wrong"
    assert lines[1].startswith(f"error: {tmp_path / 'absent' / 'file'}: No such file or directory; check the path")
    assert lines[2].startswith("error: disk full; ")


def test_a_programmers_error_keeps_its_traceback() -> None:
    with pytest.raises(ZeroDivisionError):
        exit_code(lambda: 1 / 0)


def installed(folder: Path, *names: str) -> Path:
    """A folder of programs, each of which does nothing."""
    folder.mkdir(parents=True)
    for name in names:
        (folder / name).write_text("#!/bin/sh\n")
        (folder / name).chmod(0o755)
    return folder


def test_the_next_command_is_the_installed_program_as_it_can_be_typed_here(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    programs = installed(tmp_path / "venv" / "bin", "python", "transposenet", "localizer")
    monkeypatch.setattr(sys, "executable", str(programs / "python"))
    monkeypatch.setattr(sys, "argv", [str(tmp_path / "training" / "train.py")])
    monkeypatch.setenv("PATH", "/usr/bin")
    assert next_command("check", "folder:my place") == f"{programs}/transposenet check 'folder:my place'"
    monkeypatch.chdir(tmp_path)
    assert next_command("check", "x\x1b[2J") == "venv/bin/transposenet check 'x\\x1b[2J'"
    monkeypatch.chdir(programs)
    assert next_command("check", tmp_path) == f"./transposenet check {tmp_path}"
    monkeypatch.setenv("PATH", f"/usr/bin:{programs}")
    assert next_command("train", "--out", "m") == "transposenet train --out m"
    monkeypatch.delenv("AMENT_PREFIX_PATH", raising=False)
    assert str(next_node("m")).endswith(" localizer --ros-args -p model:=m -r image:=/camera/image_raw")
    assert str(next_node("m")).startswith(f"AMENT_PREFIX_PATH={sys.prefix} ")


def test_another_installation_in_the_path_is_not_taken_for_ours(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    ours = installed(tmp_path / "install" / "bin", "make_bag", "transposenet")  # as colcon's, away from the Python
    other = installed(tmp_path / "other", "transposenet")
    monkeypatch.setattr(sys, "argv", [str(ours / "make_bag")])
    monkeypatch.setattr(sys, "executable", str(tmp_path / "usr" / "python3"))
    monkeypatch.setenv("PATH", str(other))
    assert next_command("replay") == f"{ours}/transposenet replay"
    assert next_node("model") is None


def test_where_nothing_is_installed_the_next_command_is_the_checkouts(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    programs = installed(tmp_path / "bin", "python")
    monkeypatch.setattr(sys, "executable", str(programs / "python"))
    monkeypatch.setattr(sys, "argv", [str(ROOT / "training" / "train.py")])
    monkeypatch.setenv("PATH", str(programs))
    monkeypatch.chdir(ROOT)
    assert next_command("evaluate", "model") == "python training/evaluate.py model"
    assert next_command("replay") == "python -m transposenet_ros.cli replay"
    monkeypatch.setenv("PATH", "/usr/bin")
    monkeypatch.chdir(tmp_path)
    assert next_command("check") == f"bin/python {ROOT}/training/check_dataset.py"


def test_every_program_of_the_checkout_is_there() -> None:
    assert {path.name for path in (ROOT / "training").glob("*.py")} == set(IN_CHECKOUT.values())

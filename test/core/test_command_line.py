"""How programs end: exit codes, and one sentence without a traceback for what a user can mend."""

from pathlib import Path

import pytest

from transposenet_core.command_line import exit_code
from transposenet_core.errors import UserError


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

"""Minutes of training to an error are those of the epochs before the first validation that has it."""

import json
from pathlib import Path

import pytest

from benchmarks.time_to_error import main, minutes_to


def written(folder: Path) -> Path:
    folder.mkdir()
    lines = [{"epoch": 1, "seconds": 60.0}, {"epoch": 2, "seconds": 60.0}, {"epoch": 2, "val_median_m": 0.15}]
    lines += [{"epoch": 3, "seconds": 90.0}, {"epoch": 3, "val_median_m": 0.3}, {"epoch": 4, "seconds": 30.0}]
    lines += [{"epoch": 4, "val_median_m": 0.09}]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


def test_the_first_validation_counts(tmp_path: Path) -> None:
    assert minutes_to(written(tmp_path / "run"), [0.2, 0.1, 0.05]) == ([2.0, 4.0, None], 4.0, 0.09)


def test_the_table_and_a_folder_without_metrics(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(written(tmp_path / "run")), "--metres", "0.1"]) == 0
    assert "| run      | 4.0 min | 4.0 min |         0.0900 |" in capsys.readouterr().out
    assert main([str(tmp_path / "none")]) == 2
    assert "metrics.jsonl: cannot be read" in capsys.readouterr().err

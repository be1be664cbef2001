"""The benchmark that damages files: quick kinds are read; a crash, a hang, a traceback and a gigabyte are counted."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks.file_fuzz import ALL, outcome
from benchmarks.file_mutations import mutated
from benchmarks.peak_memory import PeakMemory, peak_megabytes

ROOT = Path(__file__).resolve().parents[2]
QUICK = (
    *("keyframes", "imported weights", "pixel cache"),
    *("folder", "7scenes", "tum", "euroc", "nerfstudio", "preset"),
)
# In a process of its own, which has only one thread to fork.
WITH_BAD_READERS = """
import os, sys, time
sys.path[:0] = ["test"]
from pathlib import Path
from benchmarks import file_fuzz
from benchmarks.file_kinds import Good, Kind

def good(root):
    (root / "file").write_text("1 2 3")
    return [Good(root, "file")]

def fill(folder, file):
    data = b"1" * (1100 * 2**20)

readers = {
    "crash": lambda folder, file: os.abort(),
    "hang": lambda folder, file: time.sleep(60),
    "traceback": lambda folder, file: 1 / 0,
    "too large": fill,
}
file_fuzz.ALL |= {name: Kind(good, read) for name, read in readers.items()}
file_fuzz.MOST_SECONDS = 4.0
sys.exit(file_fuzz.main(["--mutations", "2", "--workers", "2", "--kinds", *readers, "folder"]))
"""


@pytest.mark.parametrize("kind", QUICK)
def test_t19_damaged_files_are_read_or_refused_in_a_sentence(kind: str, tmp_path: Path) -> None:
    (tmp_path / "good").mkdir()
    goods = ALL[kind].write(tmp_path / "good")
    ends = [outcome(tmp_path, goods, kind, number, seed=1) for number in range(20)]
    assert {end for end, *_ in ends} <= {"read", "refused"}, ends


@pytest.mark.long
def test_bad_readers_are_found() -> None:
    done = subprocess.run(
        [sys.executable, "-c", WITH_BAD_READERS], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 1, done.stderr
    rows = {line[:20].strip(): line[20:].split() for line in done.stdout.splitlines() if line[20:30].strip() == "2"}
    for name in ("crash", "hang", "traceback", "too large"):
        assert rows[name][:4] == ["2", "0", "0", "2"] and f"{name}: {name} " in done.stdout
    assert rows["folder"][3] == "0"


def test_a_child_counts_for_the_file_that_started_it_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    peaks = {"child": 100_000.0}
    monkeypatch.setattr("benchmarks.peak_memory.children_megabytes", lambda: peaks["child"])
    later = PeakMemory()
    assert later.megabytes() == pytest.approx(peak_megabytes(), abs=50)
    peaks["child"] = 200_000.0
    assert later.megabytes() == 200_000


@pytest.mark.parametrize(
    "data", [b"", b"\0" * 100, b'{"a": [1, {"b": 2.5}]}', b"1 2 3\n4 5 6\n"], ids=["empty", "zeros", "json", "text"]
)
def test_the_same_seed_makes_the_same_file_and_another_seed_another(data: bytes) -> None:
    made = [mutated(data, np.random.default_rng(number)) for number in range(200)]
    assert made == [mutated(data, np.random.default_rng(number)) for number in range(200)]
    assert len(set(made)) > 60

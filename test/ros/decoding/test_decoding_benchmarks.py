"""The tables about decoding: what they count and how they end. Nothing here asserts how fast anything is."""

from __future__ import annotations

import re
from pathlib import Path

import cv2
import numpy as np
import pytest

from benchmarks import damaged_jpegs, decoding_speed
from transposenet_ros.decoding.image_decoding import ENCODINGS


def test_every_encoding_stands_beside_opencv_in_the_speed_table(capsys: pytest.CaptureFixture[str]) -> None:
    threads = cv2.getNumThreads()
    try:
        assert decoding_speed.main(["--width", "32", "--height", "24", "--seconds", "0", "--padding", "2"]) == 0
    finally:
        cv2.setNumThreads(threads)
    rows = re.findall(r"^(\w+) +([\d.]+) +([\d.]+) +([\d.]+)$", capsys.readouterr().out, re.MULTILINE)
    assert [row[0] for row in rows] == [*ENCODINGS, "jpeg", "png"]
    assert all(float(row[1]) > 0 for row in rows)
    assert decoding_speed.main(["--width", "33"]) == 2
    assert "--width 33" in capsys.readouterr().err


def test_n09_the_damage_table_counts_what_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    random = np.random.default_rng(2)
    for k in range(4):
        coarse_HW3 = random.integers(0, 256, (12, 16, 3), np.uint8)
        image_HW3 = cv2.resize(coarse_HW3, (640, 480), interpolation=cv2.INTER_CUBIC)
        cv2.imwrite(str(tmp_path / f"{k}.jpg"), image_HW3)
    assert damaged_jpegs.main([str(tmp_path)]) == 0
    table = dict(re.findall(r"^(.*?) +([\d.]+)%$", capsys.readouterr().out, re.MULTILINE))
    assert list(table) == list(damaged_jpegs.DAMAGES)
    assert table["none"] == "0.0" and table["data end early, 2 to 98 %"] == "100.0"
    assert damaged_jpegs.main([str(tmp_path / "nothing")]) == 2
    assert "no .jpg or .jpeg" in capsys.readouterr().err

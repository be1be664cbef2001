"""Captions and axes of figures count seconds from the start of a recording, not from 1970."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from made_tracks import made_track, walk
from matplotlib.figure import Figure
from matplotlib.text import Text

from transposenet_core.dataset_check.card import make_card
from transposenet_core.dataset_check.leakage import check_leakage
from transposenet_core.dataset_check.overview import draw_overview
from transposenet_core.dataset_check.tracks import Tracks
from transposenet_core.evaluation.report import EvaluatedFrame, draw_report
from transposenet_core.formats.faults import Faults
from transposenet_core.geometry.vertical import find_vertical
from transposenet_core.scene_model import HeldOutError, MappedScene

HELD_OUT = HeldOutError((1.0, 1.0, 1.0), (1.0, 1.0, 1.0), "nothing")
START = 1_700_000_000.0


@pytest.fixture
def texts(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """All texts of the figures that are drawn, those of the axes as well."""
    found: list[str] = []

    def keep(figure: Figure, path: Path) -> None:
        figure.draw_without_rendering()
        found.extend(text.get_text() for text in figure.findobj(Text) if text.get_text())
        path.touch()

    monkeypatch.setattr(Figure, "savefig", keep)
    return found


def test_captions_and_axes_count_seconds_from_the_start(texts: list[str], tmp_path: Path) -> None:
    scene = made_track(walk(60))
    images = [replace(image, stamp=START + number / 10) for number, image in enumerate(scene.images)]
    scene = replace(scene, images=images)
    tracks = Tracks(scene)
    vertical = find_vertical(tracks.positions_N3, tracks.rotations_N33)
    card = make_card(scene, tracks, vertical, check_leakage(tracks, Faults()), None)
    draw_overview(tmp_path / "overview.png", card, tracks, vertical)
    captions = [text for text in texts if re.fullmatch(r"\d+  \S+  [\d.]+ s", text)]
    assert len(captions) == 20 and captions[0].endswith("  0.0 s") and captions[-1].endswith("  5.9 s")
    frames = [EvaluatedFrame(image.stamp, image.pose, image.pose) for image in images]
    draw_report(tmp_path / "report.png", "a drive", frames, MappedScene.of(scene, HELD_OUT, {}))
    assert not [text for text in texts if "17000" in text or re.search(r"1\.7.?e", text)]

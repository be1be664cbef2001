"""The scripts that drive the running node: what they count adds up. Nothing here asserts how fast anything is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from benchmarks import life_cycles, node_under_load
from benchmarks.driven_node import save_smallest_model
from transposenet_ros.replay import dds_profile


@pytest.fixture(autouse=True)
def profile_of_this_test_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """The scripts set it for their process where it is unset."""
    monkeypatch.setenv(dds_profile.VARIABLE, str(dds_profile.profile_path()))


@pytest.mark.long
def test_n31_the_script_for_many_cycles_prints_its_table(capsys: pytest.CaptureFixture[str]) -> None:
    assert life_cycles.main(["--cycles", "1", "--warm-up", "0"]) == 0
    rows = re.findall(r"^(\D+?) +(\d+) +(\d+) +([+-]\d+)$", capsys.readouterr().out, re.MULTILINE)
    assert [row[0] for row in rows][:3] == ["resident memory, kB", "threads", "open files"] and len(rows) == 4
    assert all(int(after) - int(before) == int(grown) for _, before, after, grown in rows)
    assert life_cycles.main(["--cycles", "0"]) == 2
    assert "--cycles is 0" in capsys.readouterr().err


@pytest.mark.long
def test_n39_fuzzed_images_are_all_accounted_for_by_the_running_nodes(domain: int, tmp_path: Path) -> None:
    ((name, text, _, held),) = node_under_load.fuzzed(save_smallest_model(tmp_path / "model"), domain, messages=60)
    assert name == "invalid poses, fuzzed" and held, text
    poses, sent = re.match(r"0 of (\d+) poses; (\d+) sent", text).groups()  # type: ignore[union-attr]
    assert int(sent) == 60 and 0 < int(poses) < 60


@pytest.mark.long
def test_growth_pause_and_end_of_a_node(domain: int, tmp_path: Path) -> None:
    model = save_smallest_model(tmp_path / "model")
    figures = node_under_load.growth_and_end(model, domain, frames=5, pause=2.0)
    texts = {name: text for name, text, *_ in figures}
    assert list(texts) == ["RSS growth", "stale to diagnostics", "recovery", "shutdown under load"]
    assert texts["RSS growth"].endswith("MB over 5 frames")
    assert texts["shutdown under load"].endswith("exit code 0")
    assert 0 < float(texts["recovery"].split()[0]) < 20


def test_a_senseless_length_is_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    assert node_under_load.main(["--frames", "0"]) == 2
    assert "--frames is 0" in capsys.readouterr().err

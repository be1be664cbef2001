"""One table holds every reason for no pose: what counts, what is shown and what is written down follow it."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
from diagnostic_msgs.msg import DiagnosticStatus
from live import ROOT

import transposenet_ros.decoding.errors as decoding_errors
from transposenet_core.estimate import REASONS as CORE_REASONS
from transposenet_ros import reasons
from transposenet_ros.health import NodeState, diagnose
from transposenet_ros.statistics import Snapshot, Statistics

ACTIVE = NodeState("active", topic="/image")
LEVELS = {"OK": DiagnosticStatus.OK, "WARN": DiagnosticStatus.WARN, "ERROR": DiagnosticStatus.ERROR}


def test_the_documentation_is_the_table() -> None:
    assert (ROOT / "docs" / "reasons.md").read_text() == reasons.markdown(), "run python -m transposenet_ros.reasons"


def test_the_pages_for_users_send_readers_to_that_table() -> None:
    assert "](docs/reasons.md)" in (ROOT / "README.md").read_text()
    for page in ("node.md", "troubleshooting.md"):
        assert "](reasons.md)" in (ROOT / "docs" / page).read_text(), page


def test_no_other_page_copies_a_row() -> None:
    """A copy would have to be kept equal by hand."""
    pages = [page for page in (ROOT / "docs").rglob("*.md") if page.name != "reasons.md"]
    meanings = [row.meaning for row in reasons.ROWS.values()] + list(reasons.REPLAY_ROWS.values())
    rows = [f"| {meaning} |" for meaning in meanings]
    copied = {page.name: row for page in [ROOT / "README.md", *pages] for row in rows if row in page.read_text()}
    assert copied == {}
    assert all(row in (ROOT / "docs" / "reasons.md").read_text() for row in rows)


def test_every_reason_that_pages_count_is_in_the_table() -> None:
    pages = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    counted = {name for page in pages for name in re.findall(r"`dropped_([a-z_]+)`", page.read_text())}
    assert {"stale", "future_stamp"} <= counted <= reasons.ROWS.keys()


def test_no_name_is_there_twice() -> None:
    assert not reasons.ROWS.keys() & reasons.REPLAY_ROWS.keys()
    constants = [value for name, value in vars(reasons).items() if name.isupper() and isinstance(value, str)]
    assert sorted(constants) == sorted([*reasons.ROWS, *reasons.REPLAY_ROWS])
    assert all(getattr(reasons, name.upper()) == name for name in constants)


@pytest.mark.parametrize("name", reasons.ROWS)
def test_diagnostics_show_the_level_of_the_table(name: str) -> None:
    row, often = reasons.ROWS[name], reasons.ROWS[name].error_after or 1000
    shown = Snapshot(received=9, dropped={name: 9}, silence_s=0.1, in_a_row=(name, often - 1))
    level, message = diagnose(ACTIVE, Snapshot(), shown)
    assert level == LEVELS[row.level]
    assert name in message or level == DiagnosticStatus.OK
    if row.error_after is not None:
        broken = Snapshot(received=99, dropped={name: 99}, silence_s=0.1, in_a_row=(name, row.error_after))
        assert diagnose(ACTIVE, Snapshot(), broken)[0] == DiagnosticStatus.ERROR


@pytest.mark.parametrize("name", reasons.ROWS)
def test_a_reason_counts_in_the_localized_share_as_in_the_table(name: str) -> None:
    statistics = Statistics()
    statistics.drop(name)
    snapshot = statistics.snapshot(0)
    assert snapshot.dropped == {name: 1}
    assert snapshot.localized_share == (0.0 if reasons.ROWS[name].in_localized_share else None)


def test_every_reason_of_the_core_and_the_decoders_is_in_the_table() -> None:
    kinds = [kind for kind in vars(decoding_errors).values() if isinstance(kind, type)]
    decoding = {kind.reason for kind in kinds if issubclass(kind, decoding_errors.DecodeError)}
    assert len(decoding) == 5
    assert decoding | set(CORE_REASONS) <= reasons.ROWS.keys()


@pytest.mark.parametrize("name", ["bad_luck", "", "lost_in_transport"])
def test_a_reason_that_is_not_in_the_table_is_refused_and_not_counted(name: str) -> None:
    statistics = Statistics()
    with pytest.raises(ValueError, match=f"'{name}' is not one of the reasons in transposenet_ros.reasons"):
        statistics.drop(name)
    assert statistics.snapshot(0) == Snapshot()


def spelt_out(tree: ast.AST) -> list[str]:
    """The reasons that a module spells in a string of its own."""
    texts = [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    return [text for text in texts if text in reasons.ROWS or text in reasons.REPLAY_ROWS]


def test_no_other_module_spells_a_reason() -> None:
    files = sorted((ROOT / "transposenet_ros").rglob("*.py"))
    found = {str(file.relative_to(ROOT)): spelt for file in files if (spelt := spelt_out(ast.parse(file.read_text())))}
    table = Path(reasons.__file__).relative_to(ROOT)
    assert found.pop(str(table)) == [*reasons.ROWS, *reasons.REPLAY_ROWS]
    assert found == {}

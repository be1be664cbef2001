"""Level and message on /diagnostics: one case for each row of the table in docs/node.md, in its order."""

from __future__ import annotations

from dataclasses import replace

import pytest
from diagnostic_msgs.msg import DiagnosticStatus

from transposenet_ros.health import NodeState, diagnose, diagnostic_status
from transposenet_ros.statistics import Snapshot

OK, WARN, ERROR, STALE = (
    DiagnosticStatus.OK,
    DiagnosticStatus.WARN,
    DiagnosticStatus.ERROR,
    DiagnosticStatus.STALE,
)
ACTIVE = NodeState("active", topic="/image", stale_after=0.8)
BEFORE = Snapshot(received=10, localized=8, dropped={"bad_step": 1, "superseded": 1}, silence_s=0.1)
LOCALIZING = replace(BEFORE, received=11, localized=9)


def dropping(*reasons: str, **changes: object) -> Snapshot:
    return replace(BEFORE, received=20, dropped={**BEFORE.dropped, **dict.fromkeys(reasons, 5)}, **changes)


@pytest.mark.parametrize(
    ("node_state", "now", "expected"),
    [
        (replace(ACTIVE, fault="activate failed: no"), LOCALIZING, (ERROR, "activate failed: no")),
        (NodeState("inactive"), LOCALIZING, (WARN, "the node is inactive")),
        (replace(ACTIVE, clock_fault="no time"), LOCALIZING, (WARN, "no time")),
        (ACTIVE, Snapshot(), (WARN, "no frame arrived on /image")),
        (replace(ACTIVE, input_fault="nobody"), Snapshot(), (WARN, "nobody")),
        (ACTIVE, replace(LOCALIZING, silence_s=0.9), (STALE, "no frame for 0.9 s on /image")),
        (replace(ACTIVE, input_fault="nobody"), replace(LOCALIZING, silence_s=6.0), (STALE, "nobody")),
        (
            ACTIVE,
            dropping("non_finite_output", in_a_row=("non_finite_output", 10)),
            (ERROR, "non_finite_output 10 times in a row: the scene model is broken"),
        ),
        (replace(ACTIVE, conflict="two parents"), LOCALIZING, (ERROR, "two parents")),
        (ACTIVE, LOCALIZING, (OK, "localizing")),
        (replace(ACTIVE, warnings=("on the CPU",)), LOCALIZING, (WARN, "localizing, but on the CPU")),
        (ACTIVE, dropping("not_listened"), (OK, "idle: nobody listens to any output")),
        (ACTIVE, dropping("disabled"), (OK, "disabled by ~/set_enabled")),
        (ACTIVE, dropping("bad_encoding", "superseded"), (ERROR, "no frame localized: superseded, bad_encoding")),
        (ACTIVE, dropping("bad_size"), (WARN, "no frame localized: bad_size")),
        (
            ACTIVE,
            dropping("non_finite_output", in_a_row=("non_finite_output", 9)),
            (WARN, "no frame localized: non_finite_output"),
        ),
        (ACTIVE, BEFORE, (WARN, "no frame localized: the first is in progress")),
    ],
)
def test_each_condition_has_its_level(node_state: NodeState, now: Snapshot, expected: tuple[bytes, str]) -> None:
    assert diagnose(node_state, BEFORE, now) == expected


def test_a_camera_with_another_clock_is_a_warning() -> None:
    level, message = diagnose(replace(ACTIVE, stamps_behind_s=7200.0), BEFORE, LOCALIZING)
    assert level == WARN and "7200 s behind the node's clock" in message


def test_the_entry_holds_counts_rates_and_percentiles() -> None:
    latencies = {"age": (1.0, 2.0), "decode": (0.25, 0.5)}
    now = replace(LOCALIZING, latencies=latencies, input_rate=29.97, output_rate=10.0, localized_share=0.9, lost=3)
    status = diagnostic_status("/robot/localizer", replace(ACTIVE, scene="hall"), BEFORE, now)
    values = {pair.key: pair.value for pair in status.values}
    assert (status.name, status.hardware_id) == ("/robot/localizer: localization", "hall")
    expected = {
        "received": "11",
        "localized": "9",
        "dropped": "2",
        "dropped_bad_step": "1",
        "dropped_superseded": "1",
    }
    expected |= {
        "lost_in_transport": "3",
        "input_rate_hz": "29.97",
        "output_rate_hz": "10.00",
        "localized_share": "0.900",
    }
    expected |= {"age_p50_ms": "1.000", "age_p95_ms": "2.000", "decode_p50_ms": "0.250", "decode_p95_ms": "0.500"}
    assert expected.items() <= values.items()
    assert "stamps_behind_s" not in values

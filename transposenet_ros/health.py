"""The node's entry on /diagnostics: what it does, since when it does not, and why."""

from __future__ import annotations

from dataclasses import dataclass

from diagnostic_msgs.msg import DiagnosticStatus

from transposenet_ros.conversions import key_values
from transposenet_ros.statistics import Snapshot

NOTHING = Snapshot(received=0, localized=0, dropped={}, latencies={})


@dataclass(frozen=True)
class Situation:
    """What the node knows about itself; `fault` is the sentence of its last failed transition."""

    state: str
    fault: str = ""
    model: str = ""
    scene: str = ""
    device: str = ""
    topic: str = ""
    reliability: str = ""


def judge(situation: Situation, before: Snapshot, now: Snapshot) -> tuple[bytes, str]:
    """Level and message from what happened between two snapshots.

    ERROR: the last transition failed, or no frame was localized and some had an unsupported encoding. WARN: not active,
    no frames, or frames but no pose.
    """
    if situation.fault:
        return DiagnosticStatus.ERROR, situation.fault
    if situation.state != "active":
        return DiagnosticStatus.WARN, f"the node is {situation.state}"
    if now.received == before.received:
        return DiagnosticStatus.WARN, f"no frame arrived on {situation.topic}"
    if now.localized > before.localized:
        return DiagnosticStatus.OK, "localizing"
    dropped = {reason: count - before.dropped.get(reason, 0) for reason, count in now.dropped.items()}
    reasons = [reason for reason, count in dropped.items() if count > 0]
    level = DiagnosticStatus.ERROR if "bad_encoding" in reasons else DiagnosticStatus.WARN
    return level, f"no frame localized: {', '.join(reasons) or 'the first is in hand'}"


def diagnostic_status(name: str, situation: Situation, before: Snapshot, now: Snapshot) -> DiagnosticStatus:
    """The whole entry; latencies in milliseconds, counts since the node was configured."""
    level, message = judge(situation, before, now)
    status = DiagnosticStatus(level=level, name=f"{name}: localization", message=message, hardware_id=situation.scene)
    status.values = key_values(
        state=situation.state,
        model=situation.model,
        scene=situation.scene,
        device=situation.device,
        topic=situation.topic,
        reliability=situation.reliability,
        received=now.received,
        localized=now.localized,
        dropped=sum(now.dropped.values()),
        **{f"dropped_{reason}": count for reason, count in sorted(now.dropped.items())},
    )
    for stage, (p50, p95) in sorted(now.latencies.items()):
        status.values += key_values(**{f"{stage}_p50_ms": f"{p50:.3f}", f"{stage}_p95_ms": f"{p95:.3f}"})
    return status

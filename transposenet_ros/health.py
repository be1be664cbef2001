"""The node's entry on /diagnostics: level, message and values."""

from __future__ import annotations

from dataclasses import dataclass, field

from diagnostic_msgs.msg import DiagnosticStatus

from transposenet_ros import reasons
from transposenet_ros.output.conversions import key_values
from transposenet_ros.statistics import Snapshot

NOTHING = Snapshot()


@dataclass(frozen=True)
class NodeState:
    """The state of the node, without its statistics.

    `fault` is the sentence of its last failed transition, `clock_fault` and `input_fault` are those of InputWatch;
    `stale_after` is the parameter, `stamps_behind_s` is FrameWorker's, `conflict` is RobotFrames'. `warnings` are other
    sentences about restricted operation, `notes` further values to show.
    """

    state: str
    fault: str = ""
    clock_fault: str = ""
    input_fault: str = ""
    stamps_behind_s: float = 0.0
    conflict: str = ""
    warnings: tuple[str, ...] = ()
    notes: dict[str, object] = field(default_factory=dict)
    stale_after: float = 0.8
    model: str = ""
    scene: str = ""
    device: str = ""
    backend: str = ""
    topic: str = ""
    reliability: str = ""
    clock: str = ""


def diagnose(node_state: NodeState, before: Snapshot, now: Snapshot) -> tuple[bytes, str]:
    """Level and message, from what happened to the frames between two snapshots: the table in docs/node.md."""
    if node_state.fault:
        return DiagnosticStatus.ERROR, node_state.fault
    if node_state.state != "active":
        return DiagnosticStatus.WARN, f"the node is {node_state.state}"
    if node_state.clock_fault:
        return DiagnosticStatus.WARN, node_state.clock_fault
    if now.silence_s is None:
        return DiagnosticStatus.WARN, node_state.input_fault or f"no frame arrived on {node_state.topic}"
    if now.silence_s > node_state.stale_after:
        silence = f"no frame for {now.silence_s:.1f} s on {node_state.topic}"
        return DiagnosticStatus.STALE, node_state.input_fault or silence
    reason, count = now.in_a_row
    often = reasons.BROKEN_NETWORK.get(reason)
    if often is not None and count >= often:
        return DiagnosticStatus.ERROR, f"{reason} {count} times in a row: the scene model is broken"
    return _diagnose_frames(node_state, before, now)


def _diagnose_frames(node_state: NodeState, before: Snapshot, now: Snapshot) -> tuple[bytes, str]:
    if node_state.conflict:
        return DiagnosticStatus.ERROR, node_state.conflict
    if now.localized > before.localized:
        warnings = node_state.warnings
        if node_state.stamps_behind_s:
            behind = f"{node_state.stamps_behind_s:.0f} s behind the node's clock"
            warnings = (*warnings, f"the stamps are {behind}: a recording, or another clock")
        if not warnings:
            return DiagnosticStatus.OK, "localizing"
        return DiagnosticStatus.WARN, f"localizing, but {'; '.join(warnings)}"
    found = [reason for reason, count in now.dropped.items() if count > before.dropped.get(reason, 0)]
    if reasons.NOT_LISTENED in found:
        return DiagnosticStatus.OK, "idle: nobody listens to any output"
    if reasons.DISABLED in found:
        return DiagnosticStatus.OK, "disabled by ~/set_enabled"
    level = DiagnosticStatus.ERROR if reasons.ERRORS.intersection(found) else DiagnosticStatus.WARN
    return level, f"no frame localized: {', '.join(found) or 'the first is in progress'}"


def diagnostic_status(name: str, node_state: NodeState, before: Snapshot, now: Snapshot) -> DiagnosticStatus:
    """The whole entry: durations in milliseconds, rates in Hz of the node's clock, counts since configure."""
    level, message = diagnose(node_state, before, now)
    status = DiagnosticStatus(level=level, name=f"{name}: localization", message=message, hardware_id=node_state.scene)
    status.values = key_values(
        state=node_state.state,
        model=node_state.model,
        scene=node_state.scene,
        device=node_state.device,
        backend=node_state.backend,
        topic=node_state.topic,
        reliability=node_state.reliability,
        clock=node_state.clock,
        input_rate_hz=f"{now.input_rate:.2f}",
        output_rate_hz=f"{now.output_rate:.2f}",
        received=now.received,
        localized=now.localized,
        dropped=sum(now.dropped.values()),
        lost_in_transport=now.lost,
        **{f"dropped_{reason}": count for reason, count in sorted(now.dropped.items())},
    )
    status.values += key_values(**node_state.notes)
    if now.localized_share is not None:
        status.values += key_values(localized_share=f"{now.localized_share:.3f}")
    if now.refined_share is not None:
        status.values += key_values(refined_share=f"{now.refined_share:.3f}")
    if node_state.stamps_behind_s:
        status.values += key_values(stamps_behind_s=f"{node_state.stamps_behind_s:.1f}")
    for stage, (p50, p95) in sorted(now.latencies.items()):
        status.values += key_values(**{f"{stage}_p50_ms": f"{p50:.3f}", f"{stage}_p95_ms": f"{p95:.3f}"})
    return status

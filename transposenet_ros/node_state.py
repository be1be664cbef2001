"""Collects from the parts of the node what it reports on /diagnostics."""

from __future__ import annotations

from rclpy.node import Node

from transposenet_ros.active import Active
from transposenet_ros.configured import Configured
from transposenet_ros.health import NodeState
from transposenet_ros.input.input_watch import clock_name
from transposenet_ros.output.units import UNSCALED, units_note
from transposenet_ros.parameters import Parameters


def node_state_of(
    node: Node, parameters: Parameters, fault: str, configured: Configured | None, active: Active | None
) -> NodeState:
    """The state of a node; `fault` is the sentence of its last failed transition."""
    localizer = configured.localizer if configured else None
    camera, watch = (active.camera, active.watch) if active else (None, None)
    return NodeState(
        state="active" if active else "inactive" if configured else "unconfigured",
        fault=fault,
        clock_fault=watch.clock_fault if watch else "",
        input_fault=watch.input_fault if watch else "",
        stamps_behind_s=active.worker.stamps_behind_s if active else 0.0,
        conflict=configured.outputs.robot_frames.conflict if configured else "",
        warnings=_warnings(parameters, configured, active),
        notes=_notes(parameters, configured, active),
        stale_after=parameters.stale_after,
        model=parameters.model,
        scene=localizer.scene_model.title if localizer else "",
        device=str(localizer.device) if localizer else parameters.device,
        backend=localizer.backend_name if localizer else parameters.backend,
        topic=camera.topic if camera else "",
        reliability=("reliable" if camera.reliable else "best effort") if camera else "",
        clock=clock_name(node),
    )


def _warnings(parameters: Parameters, configured: Configured | None, active: Active | None) -> tuple[str, ...]:
    """What goes on, but not as it should."""
    fallback_reason = configured.localizer.fallback_reason if configured else ""
    trouble = configured.outputs.robot_frames.trouble if configured else ""
    verdict = active.frame_localizer.camera.verdict if active else None
    unscaled = UNSCALED if configured and units_note(parameters, configured.localizer.scene_model) == UNSCALED else ""
    return tuple(filter(None, (unscaled, fallback_reason, trouble, verdict.text if verdict and verdict.reason else "")))


def _notes(parameters: Parameters, configured: Configured | None, active: Active | None) -> dict[str, object]:
    frames = configured.outputs.robot_frames if configured else None
    return {
        "refine": parameters.refine,
        "keyframes": configured.localizer.keyframes if configured else 0,
        "units": units_note(parameters, configured.localizer.scene_model) if configured else "",
        "device_note": configured.localizer.note if configured else "",
        "backend_note": "; ".join(configured.localizer.refused_backends) if configured else "",
        "camera": active.frame_localizer.camera.verdict.text if active else "",
        "tf_mode": frames.mode if frames else "",
        "tf_withheld": frames.withheld if frames else 0,
        "tf_trouble": (frames.conflict or frames.trouble) if frames else "",
    }

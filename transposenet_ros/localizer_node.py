"""The localizer as a managed ROS 2 node: images in, poses and transforms out."""

from __future__ import annotations

import sys
from typing import Any

import torch
from rcl_interfaces.msg import SetParametersResult
from rclpy.clock import Clock
from rclpy.clock_type import ClockType
from rclpy.lifecycle import LifecycleNode, LifecycleState
from rclpy.parameter import Parameter

from transposenet_ros import parameters
from transposenet_ros.active import Active
from transposenet_ros.cameras import camera_names, camera_nodes
from transposenet_ros.configured import Configured
from transposenet_ros.control import Control
from transposenet_ros.diagnostics import Diagnostics
from transposenet_ros.frame_worker import FrameWorker
from transposenet_ros.guarded_localizer import GuardedLocalizer
from transposenet_ros.health import NodeState
from transposenet_ros.lifecycle import refuse_impossible_transitions, reported, start_by_itself
from transposenet_ros.model_change import ModelChange, allowed_model
from transposenet_ros.node_process import run_nodes
from transposenet_ros.node_state import node_state_of
from transposenet_ros.output.map_frame import check_map_frame
from transposenet_ros.output.outputs import Outputs
from transposenet_ros.output.units import check_units


class LocalizerNode(LifecycleNode):
    """Managed node `localizer`, or that of one of several cameras.

    configure loads and warms up the scene model; activate subscribes and starts the worker; an inactive node costs no
    bandwidth. The executor only ever stores messages. UserError where its parameters are unknown, of a wrong type or
    out of range.
    """

    def __init__(self, name: str = "localizer", **options: Any) -> None:
        super().__init__(name, **options)
        self.fault = ""
        self._configured: Configured | None = None
        self._active: Active | None = None
        parameters.declare(self)
        refuse_impossible_transitions(self)
        self._model_change = ModelChange(self, self._load, lambda: self._configured is not None)
        Control(self, self._running)
        self._diagnostics = Diagnostics(self, parameters.read(self).diagnostics_period, self._node_state)
        self.add_on_set_parameters_callback(self._check_change)
        self.add_post_set_parameters_callback(self._apply_change)
        if parameters.read(self).autostart:
            steady = Clock(clock_type=ClockType.STEADY_TIME)
            self._autostart_timer = self.create_timer(0.0, self._autostart, clock=steady)

    @reported
    def on_configure(self, state: LifecycleState) -> None:
        """Load the scene model, warm it up, open the publishers."""
        values = parameters.read(self)
        if values.torch_threads:
            torch.set_num_threads(values.torch_threads)
        self._configured = Configured(self, values, self._load)
        self._diagnostics.follow(self._configured.statistics)
        localizer = self._configured.localizer
        title, device = localizer.scene_model.title, localizer.device
        note = f" ({localizer.note})" if localizer.note and not localizer.fallback_reason else ""
        self.get_logger().info(f"scene '{title}' of {values.model} is ready on {device}{note}, {_run_by(localizer)}")

    @reported
    def on_activate(self, state: LifecycleState) -> None:
        """Start the worker and subscribe to the camera."""
        assert self._configured is not None
        try:
            super().on_activate(state)
            self._active = Active(self, parameters.read(self), self._configured)
        except Exception:
            super().on_deactivate(state)  # or the publishers would go on in a node that is not active
            raise
        self.get_logger().info(f"localizing the images of {self._active.topic}")

    @reported
    def on_deactivate(self, state: LifecycleState) -> None:
        """Unsubscribe, finish the current frame, stop publishing."""
        self._stop()
        super().on_deactivate(state)

    @reported
    def on_cleanup(self, state: LifecycleState) -> None:
        """Release the model and the publishers."""
        self._release()

    @reported
    def on_shutdown(self, state: LifecycleState) -> None:
        """Stop whatever runs."""
        self._stop()
        self._release()

    def close(self) -> None:
        """End every thread, from any state: one that is still inside torch at exit aborts the process."""
        self._stop()
        self._model_change.close()

    def _stop(self) -> None:
        if self._active is not None:
            self._active.close()
        self._active = None

    def _release(self) -> None:
        if self._configured is not None:
            self._configured.close()
        self._configured = None

    def _load(self, model: str) -> GuardedLocalizer:
        """A localizer that is warmed up. UserError where the model or the device is not available."""
        values = parameters.read(self)
        path = allowed_model(model, values.models_dir, running=self._configured is not None)
        localizer = GuardedLocalizer(
            path, values.device, values.on_device_error, self.get_logger().warning, values.backend, values.refine
        )
        check_map_frame(values, localizer.scene_model)
        check_units(values, localizer.scene_model)
        return localizer

    def _running(self) -> tuple[FrameWorker, Outputs] | None:
        return (self._active.worker, self._configured.outputs) if self._active and self._configured else None

    def _autostart(self) -> None:
        self.destroy_timer(self._autostart_timer)
        start_by_itself(self)

    def _check_change(self, changes: list[Parameter]) -> SetParametersResult:
        result = parameters.check_change(changes, unconfigured=self._configured is None)
        if result.successful and self._configured is not None:
            for change in changes:
                if change.name == "model" and (reason := self._model_change.check(change.value)):
                    return SetParametersResult(successful=False, reason=reason)
        return result

    def _apply_change(self, changes: list[Parameter]) -> None:
        values = parameters.read(self)
        self._diagnostics.set_period(values.diagnostics_period)
        if self._configured is None:
            return
        self._configured.outputs.robot_frames.tune(values)
        for change in changes:
            if change.name == "model" and (localizer := self._model_change.take(change.value)):
                self._change_model(self._configured, localizer, values)

    def _change_model(self, configured: Configured, localizer: GuardedLocalizer, values: parameters.Parameters) -> None:
        """Another scene from the next frame on."""
        if self._active is not None:
            self._active.frame_localizer.set_localizer(localizer)
        configured.show(localizer, values)
        title = localizer.scene_model.title
        self.get_logger().info(f"scene '{title}' of {values.model} from now on, {_run_by(localizer)}")

    def _node_state(self) -> NodeState:
        return node_state_of(self, parameters.read(self), self.fault, self._configured, self._active)


def _run_by(localizer: GuardedLocalizer) -> str:
    """The back end, and why not another; whether poses are refined."""
    refined = [f"refined against {localizer.keyframes} keyframes"] if localizer.refines else []
    return "; ".join((f"run by {localizer.backend_name}", *localizer.refused_backends, *refined))


def main(args: list[str] | None = None) -> int:
    """Run the node, or one for each of ``--cameras``, until SIGINT or SIGTERM; the exit code is 0, or 2 where its
    parameters are wrong."""

    def nodes() -> list[Any]:
        names = camera_names(args)
        return camera_nodes(LocalizerNode, names, args) if names else [LocalizerNode()]

    return run_nodes(nodes, args)


if __name__ == "__main__":
    sys.exit(main())

"""The localizer as a managed ROS 2 node: pictures in, poses and transforms out."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import torch
from rcl_interfaces.msg import SetParametersResult
from rclpy.clock import Clock
from rclpy.clock_type import ClockType
from rclpy.lifecycle import LifecycleNode, LifecycleState
from rclpy.parameter import Parameter

from transposenet_core.errors import UserError
from transposenet_core.localizer import Localizer
from transposenet_ros import parameters
from transposenet_ros.diagnostics import Diagnostics
from transposenet_ros.frame_worker import FrameWorker
from transposenet_ros.health import Situation
from transposenet_ros.image_decoding import Decoder, image_decoder
from transposenet_ros.image_input import ImageInput, input_topic
from transposenet_ros.input_watch import InputWatch, clock_name
from transposenet_ros.lifecycle import refuse_impossible_transitions, reported, start_by_itself
from transposenet_ros.node_process import run_node
from transposenet_ros.pose_output import PoseOutput
from transposenet_ros.statistics import Statistics


class LocalizerNode(LifecycleNode):
    """Managed node `localizer`. UserError where its parameters are unknown, of a wrong type or out of range.

    configure loads and warms up the scene model; activate subscribes and starts the worker; an inactive node costs no
    bandwidth. The executor only ever stores messages.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__("localizer", **options)
        self.fault = ""
        self._statistics = Statistics()
        self._localizer: Localizer | None = None
        self._decode: Decoder | None = None
        self._output: PoseOutput | None = None
        self._worker: FrameWorker | None = None
        self._input: ImageInput | None = None
        self._watch: InputWatch | None = None
        parameters.declare(self)
        self.add_on_set_parameters_callback(self._judge_change)
        self.add_post_set_parameters_callback(self._apply_change)
        refuse_impossible_transitions(self)
        self._diagnostics = Diagnostics(self, parameters.read(self).diagnostics_period, self._situation)
        if parameters.read(self).autostart:
            steady = Clock(clock_type=ClockType.STEADY_TIME)
            self._autostart_timer = self.create_timer(0.0, self._autostart, clock=steady)

    @reported
    def on_configure(self, state: LifecycleState) -> None:
        """Load the scene model, warm it up, open the publishers."""
        values = parameters.read(self)
        if not values.model:
            raise UserError(
                "parameter 'model' is empty; set it to the folder of a scene model (training/train.py --out)"
            )
        if values.torch_threads:
            torch.set_num_threads(values.torch_threads)
        self._decode = image_decoder(values.decoder)
        localizer = Localizer(Path(values.model).expanduser(), device=values.device)
        localizer.warm_up()
        self._output = PoseOutput(self, values.tf_mode)
        self._localizer, self._statistics = localizer, Statistics()
        self._diagnostics.follow(self._statistics)
        name, device = localizer.scene_model.name, localizer.device
        self.get_logger().info(f"scene '{name}' of {values.model} is ready on {device}")

    @reported
    def on_activate(self, state: LifecycleState) -> None:
        """Start the worker and subscribe to the camera."""
        values = parameters.read(self)
        assert self._localizer is not None and self._decode is not None and self._output is not None
        topic = input_topic(self, values.image_transport)
        super().on_activate(state)
        self._output.forget()
        self._statistics.restart_time()
        outputs = [self._output]
        self._worker = FrameWorker(self, self._decode, self._localizer, values, outputs, self._statistics, topic)
        try:
            self._input = ImageInput(self, values.image_transport, values.image_qos, self._worker.put)
            self._watch = InputWatch(self, self._input, values.no_frames_timeout)
        except Exception:
            self._stop()
            raise
        self.get_logger().info(f"localizing the pictures of {topic}")

    @reported
    def on_deactivate(self, state: LifecycleState) -> None:
        """Unsubscribe, finish the frame in hand, fall silent."""
        self._stop()
        super().on_deactivate(state)

    @reported
    def on_cleanup(self, state: LifecycleState) -> None:
        """Let the model and the publishers go."""
        self._release()

    @reported
    def on_shutdown(self, state: LifecycleState) -> None:
        """Stop whatever runs."""
        self._stop()
        self._release()

    def close(self) -> None:
        """Stop the worker, from any state: a thread that is still inside torch at exit aborts the process."""
        self._stop()

    def _stop(self) -> None:
        if self._watch is not None:
            self._watch.close()
        if self._input is not None:
            self._input.close()
        if self._worker is not None:
            self._worker.stop()
        self._watch = self._input = self._worker = None

    def _release(self) -> None:
        if self._output is not None:
            self._output.close()
        self._output = self._localizer = None

    def _autostart(self) -> None:
        self.destroy_timer(self._autostart_timer)
        start_by_itself(self)

    def _judge_change(self, changes: list[Parameter]) -> SetParametersResult:
        return parameters.judge_change(changes, unconfigured=self._localizer is None)

    def _apply_change(self, changes: list[Parameter]) -> None:
        for change in changes:
            if change.name == "diagnostics_period":
                self._diagnostics.set_period(change.value)

    def _situation(self) -> Situation:
        values = parameters.read(self)
        localizer, camera, watch, worker = self._localizer, self._input, self._watch, self._worker
        return Situation(
            state="active" if camera else "inactive" if localizer else "unconfigured",
            fault=self.fault,
            clock_fault=watch.clock_fault if watch else "",
            input_fault=watch.input_fault if watch else "",
            stamps_behind_s=worker.stamps_behind_s if worker else 0.0,
            stale_after=values.stale_after,
            model=values.model,
            scene=localizer.scene_model.name if localizer else "",
            device=str(localizer.device) if localizer else values.device,
            topic=camera.topic if camera else "",
            reliability=("reliable" if camera.reliable else "best effort") if camera else "",
            clock=clock_name(self),
        )


def main(args: list[str] | None = None) -> int:
    """Run the node until SIGINT or SIGTERM; the exit code is 0, or 2 where its parameters are wrong."""
    return run_node(LocalizerNode, args)


if __name__ == "__main__":
    sys.exit(main())

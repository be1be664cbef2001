"""The localizer as a managed ROS 2 node: pictures in, poses and transforms out."""

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
from transposenet_ros.cameras import camera_names, camera_nodes
from transposenet_ros.control import Control
from transposenet_ros.decoding.image_decoding import Decoder, image_decoder
from transposenet_ros.diagnostics import Diagnostics
from transposenet_ros.frame_localizer import Eyes
from transposenet_ros.frame_worker import FrameWorker
from transposenet_ros.guarded_localizer import GuardedLocalizer
from transposenet_ros.health import Situation
from transposenet_ros.input.camera_info_input import CameraInfoInput
from transposenet_ros.input.image_input import ImageInput, input_topic
from transposenet_ros.input.input_watch import InputWatch, clock_name
from transposenet_ros.lifecycle import refuse_impossible_transitions, reported, start_by_itself
from transposenet_ros.model_change import ModelChange, allowed_model
from transposenet_ros.node_process import run_nodes
from transposenet_ros.output.map_frame import check_map_frame, map_frame_of
from transposenet_ros.output.outputs import Outputs
from transposenet_ros.statistics import Statistics
from transposenet_ros.throttled_log import ThrottledLog


class LocalizerNode(LifecycleNode):
    """Managed node `localizer`, or that of one of several cameras.

    configure loads and warms up the scene model; activate subscribes and starts the worker; an inactive node costs no
    bandwidth. The executor only ever stores messages. UserError where its parameters are unknown, of a wrong type or
    out of range.
    """

    def __init__(self, name: str = "localizer", **options: Any) -> None:
        super().__init__(name, **options)
        self.fault = ""
        self._statistics = Statistics()
        self._localizer: GuardedLocalizer | None = None
        self._decode: Decoder | None = None
        self._outputs: Outputs | None = None
        self._eyes: Eyes | None = None
        self._worker: FrameWorker | None = None
        self._input: ImageInput | None = None
        self._camera_info: CameraInfoInput | None = None
        self._watch: InputWatch | None = None
        parameters.declare(self)
        refuse_impossible_transitions(self)
        self._model_change = ModelChange(self, self._load, lambda: self._localizer is not None)
        Control(self, self._running)
        self._diagnostics = Diagnostics(self, parameters.read(self).diagnostics_period, self._situation)
        self.add_on_set_parameters_callback(self._judge_change)
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
        self._decode = image_decoder(values.decoder)
        localizer = self._load(values.model)
        self._outputs = Outputs(self, values, localizer.scene_model)
        self._localizer, self._statistics = localizer, Statistics()
        self._diagnostics.follow(self._statistics)
        title, device = localizer.scene_model.title, localizer.device
        self.get_logger().info(f"scene '{title}' of {values.model} is ready on {device}")

    @reported
    def on_activate(self, state: LifecycleState) -> None:
        """Start the worker and subscribe to the camera."""
        values = parameters.read(self)
        assert self._localizer is not None and self._decode is not None and self._outputs is not None
        topic = input_topic(self, values.image_transport)
        log = ThrottledLog(self.get_logger())
        try:
            super().on_activate(state)
            self._outputs.activate()
            self._statistics.restart_time()
            self._eyes = Eyes(self._decode, self._localizer, values, self._outputs.on_demand, log)
            forget_transforms = self._outputs.robot_frames.forget_transforms
            self._worker = FrameWorker(
                self, self._eyes, values, self._outputs.all, self._statistics, topic, forget_transforms
            )
            self._camera_info = CameraInfoInput(self, topic, self._eyes.learn_camera)
            self._input = ImageInput(
                self, values.image_transport, values.image_qos, self._worker.put, self._statistics.lose
            )
            self._watch = InputWatch(self, self._input, values.no_frames_timeout)
        except Exception:
            self._stop()
            super().on_deactivate(state)  # or the publishers would go on in a node that is not active
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
        """End every thread, from any state: one that is still inside torch at exit aborts the process."""
        self._stop()
        self._model_change.close()

    def _stop(self) -> None:
        if self._watch is not None:
            self._watch.close()
        if self._camera_info is not None:
            self._camera_info.close()
        if self._input is not None:
            self._input.close()
        if self._worker is not None:
            self._worker.stop()
        self._watch = self._input = self._camera_info = self._worker = self._eyes = None

    def _release(self) -> None:
        if self._outputs is not None:
            self._outputs.close()
        self._outputs = self._localizer = None

    def _load(self, model: str) -> GuardedLocalizer:
        """A localizer that is warmed up. UserError where the model or the device is not to be had."""
        values = parameters.read(self)
        path = allowed_model(model, values.models_dir, running=self._localizer is not None)
        localizer = GuardedLocalizer(path, values.device, values.on_device_error, self.get_logger().warning)
        check_map_frame(values, localizer.scene_model)
        return localizer

    def _running(self) -> tuple[FrameWorker, Outputs] | None:
        return (self._worker, self._outputs) if self._worker and self._outputs else None

    def _autostart(self) -> None:
        self.destroy_timer(self._autostart_timer)
        start_by_itself(self)

    def _judge_change(self, changes: list[Parameter]) -> SetParametersResult:
        result = parameters.judge_change(changes, unconfigured=self._localizer is None)
        if result.successful and self._localizer is not None:
            for change in changes:
                if change.name == "model" and (reason := self._model_change.judge(change.value)):
                    return SetParametersResult(successful=False, reason=reason)
        return result

    def _apply_change(self, changes: list[Parameter]) -> None:
        values = parameters.read(self)
        self._diagnostics.set_period(values.diagnostics_period)
        if self._outputs is not None:
            self._outputs.robot_frames.tune(values)
        for change in changes:
            if change.name == "model" and (localizer := self._model_change.take(change.value)) and self._localizer:
                self._change_model(localizer, values)

    def _change_model(self, localizer: GuardedLocalizer, values: parameters.Parameters) -> None:
        """Another scene from the next frame on."""
        self._localizer, scene_model = localizer, localizer.scene_model
        if self._eyes is not None:
            self._eyes.look_with(localizer)
        if self._outputs is not None:
            self._outputs.on_demand.show_scene(scene_model, map_frame_of(values, scene_model.map_frame))
            self._outputs.forget()
        self.get_logger().info(f"scene '{scene_model.title}' of {values.model} from now on")

    def _situation(self) -> Situation:
        values = parameters.read(self)
        localizer, camera, watch, worker = self._localizer, self._input, self._watch, self._worker
        frames = self._outputs.robot_frames if self._outputs else None
        return Situation(
            state="active" if camera else "inactive" if localizer else "unconfigured",
            fault=self.fault,
            clock_fault=watch.clock_fault if watch else "",
            input_fault=watch.input_fault if watch else "",
            stamps_behind_s=worker.stamps_behind_s if worker else 0.0,
            conflict=frames.conflict if frames else "",
            warnings=self._warnings(),
            notes=self._notes(),
            stale_after=values.stale_after,
            model=values.model,
            scene=localizer.scene_model.title if localizer else "",
            device=str(localizer.device) if localizer else values.device,
            topic=camera.topic if camera else "",
            reliability=("reliable" if camera.reliable else "best effort") if camera else "",
            clock=clock_name(self),
        )

    def _warnings(self) -> tuple[str, ...]:
        """What goes on, but not as it should."""
        fallen = self._localizer.fallen if self._localizer else ""
        trouble = self._outputs.robot_frames.trouble if self._outputs else ""
        camera = self._eyes.camera.verdict.text if self._eyes and self._eyes.camera.verdict.reason else ""
        return tuple(filter(None, (fallen, trouble, camera)))

    def _notes(self) -> dict[str, object]:
        frames, eyes, localizer = self._outputs and self._outputs.robot_frames, self._eyes, self._localizer
        return {
            "device_note": localizer.note if localizer else "",
            "camera": eyes.camera.verdict.text if eyes else "",
            "tf_mode": frames.mode if frames else "",
            "tf_withheld": frames.withheld if frames else 0,
            "tf_trouble": (frames.conflict or frames.trouble) if frames else "",
        }


def main(args: list[str] | None = None) -> int:
    """Run the node, or one for each of ``--cameras``, until SIGINT or SIGTERM; the exit code is 0, or 2 where its
    parameters are wrong."""

    def nodes() -> list[Any]:
        names = camera_names(args)
        return camera_nodes(LocalizerNode, names, args) if names else [LocalizerNode()]

    return run_nodes(nodes, args)


if __name__ == "__main__":
    sys.exit(main())

"""The localizer as a managed ROS 2 node: pictures in, poses and transforms out."""

from __future__ import annotations

import functools
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import rclpy
import torch
from diagnostic_msgs.msg import DiagnosticArray
from rcl_interfaces.msg import SetParametersResult
from rclpy.clock import Clock
from rclpy.clock_type import ClockType
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.parameter import Parameter

from transposenet_core.errors import UserError
from transposenet_core.localizer import Localizer
from transposenet_ros import parameters
from transposenet_ros.frame_worker import FrameWorker
from transposenet_ros.health import NOTHING, Situation, diagnostic_status
from transposenet_ros.image_input import ImageInput, input_topic
from transposenet_ros.pose_output import PoseOutput
from transposenet_ros.statistics import Statistics


def reported(transition: Callable[[Any, LifecycleState], None]) -> Callable[[Any, LifecycleState], Any]:
    """Make a life-cycle callback of a method that raises: rclpy would hide the exception, and the user with it."""

    @functools.wraps(transition)
    def on_transition(self: LocalizerNode, state: LifecycleState) -> TransitionCallbackReturn:
        try:
            transition(self, state)
        except Exception as error:  # noqa: BLE001 - whatever it was, the user gets a sentence and the node lives on
            text = str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {error}"
            self.fault = f"{transition.__name__.removeprefix('on_')} failed: {text}"
            if self.context.ok():  # else the node was told to end meanwhile, and the failure is that
                self.get_logger().error(self.fault)
            return TransitionCallbackReturn.FAILURE
        self.fault = ""
        return TransitionCallbackReturn.SUCCESS

    return on_transition


class LocalizerNode(LifecycleNode):
    """Managed node `localizer`. UserError where its parameters are unknown, of a wrong type or out of range.

    configure loads and warms up the scene model; activate subscribes and starts the worker; an inactive node costs no
    bandwidth. The executor only ever stores messages.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__("localizer", **options)
        self.fault = ""
        self._statistics = Statistics()
        self._last_snapshot = NOTHING
        self._localizer: Localizer | None = None
        self._output: PoseOutput | None = None
        self._worker: FrameWorker | None = None
        self._input: ImageInput | None = None
        parameters.declare(self)
        self.add_on_set_parameters_callback(self._judge_change)
        self.add_post_set_parameters_callback(self._apply_change)
        self._answer_impossible_transitions()
        self._diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", 10)
        # Wall time: a stopped /clock must not silence the node that could say so.
        self._steady = Clock(clock_type=ClockType.STEADY_TIME)
        period = parameters.read(self).diagnostics_period
        self._diagnostics_timer = self.create_timer(period, self._publish_diagnostics, clock=self._steady)
        if parameters.read(self).autostart:
            self._autostart_timer = self.create_timer(0.0, self._autostart, clock=self._steady)

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
        localizer = Localizer(Path(values.model).expanduser(), device=values.device)
        localizer.warm_up()
        self._output = PoseOutput(self, values.tf_mode)
        self._localizer, self._statistics, self._last_snapshot = localizer, Statistics(), NOTHING
        name, device = localizer.scene_model.name, localizer.device
        self.get_logger().info(f"scene '{name}' of {values.model} is ready on {device}")

    @reported
    def on_activate(self, state: LifecycleState) -> None:
        """Start the worker and subscribe to the camera."""
        values = parameters.read(self)
        assert self._localizer is not None and self._output is not None
        topic = input_topic(self, values.image_transport)
        super().on_activate(state)
        self._output.forget()
        self._worker = FrameWorker(self, self._localizer, values, self._output, self._statistics, topic)
        try:
            self._input = ImageInput(self, values.image_transport, values.image_qos, self._worker.put)
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
        if self._input is not None:
            self._input.close()
        if self._worker is not None:
            self._worker.stop()
        self._input = self._worker = None

    def _release(self) -> None:
        if self._output is not None:
            self._output.close()
        self._output = self._localizer = None

    def _autostart(self) -> None:
        self.destroy_timer(self._autostart_timer)
        if self.trigger_configure() == TransitionCallbackReturn.SUCCESS:
            self.trigger_activate()
        elif self.context.ok():
            name = self.get_fully_qualified_name()
            self.get_logger().warning(
                f"the node stays unconfigured; set the parameter right (ros2 param set {name} model FOLDER), then "
                f"ros2 lifecycle set {name} configure and ros2 lifecycle set {name} activate"
            )

    def _answer_impossible_transitions(self) -> None:
        """rclpy raises out of spin when a client asks for a transition that the state does not have."""
        service = self._service_change_state
        change_state = service.callback

        def answer(request: Any, response: Any) -> Any:
            try:
                return change_state(request, response)
            except Exception as error:  # noqa: BLE001 - rclpy's RCLError is no public name
                self.get_logger().warning(f"transition {request.transition.id} refused: {error}")
                response.success = False
                return response

        service.callback = answer

    def _judge_change(self, changes: list[Parameter]) -> SetParametersResult:
        return parameters.judge_change(changes, unconfigured=self._localizer is None)

    def _apply_change(self, changes: list[Parameter]) -> None:
        for change in changes:
            if change.name == "diagnostics_period":
                self._diagnostics_timer.timer_period_ns = round(change.value * 1e9)

    def _publish_diagnostics(self) -> None:
        snapshot = self._statistics.snapshot()
        status = diagnostic_status(self.get_fully_qualified_name(), self._situation(), self._last_snapshot, snapshot)
        self._last_snapshot = snapshot
        message = DiagnosticArray(status=[status])
        message.header.stamp = self.get_clock().now().to_msg()
        self._diagnostics.publish(message)

    def _situation(self) -> Situation:
        values = parameters.read(self)
        localizer, camera = self._localizer, self._input
        return Situation(
            state="active" if camera else "inactive" if localizer else "unconfigured",
            fault=self.fault,
            model=values.model,
            scene=localizer.scene_model.name if localizer else "",
            device=str(localizer.device) if localizer else values.device,
            topic=camera.topic if camera else "",
            reliability=("reliable" if camera.reliable else "best effort") if camera else "",
        )


def spin(node: LocalizerNode) -> None:
    """Run the node until it is told to end. A callback that raises is logged: no message may end the process."""
    executor = SingleThreadedExecutor(context=node.context)
    executor.add_node(node)
    while node.context.ok():
        try:
            executor.spin()
        except ExternalShutdownException:
            break
        except Exception as error:  # noqa: BLE001
            if node.context.ok():
                node.get_logger().error(f"a callback failed: {type(error).__name__}: {error}")


def main(args: list[str] | None = None) -> int:
    """Run the node until SIGINT or SIGTERM; the exit code is 0, or 2 where its parameters are wrong."""
    # rclpy's own handlers end spin. Python's would raise KeyboardInterrupt somewhere in the teardown when a launched
    # node gets its second Ctrl-C, and a second SIGTERM would kill.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: None)
    try:
        rclpy.init(args=args)
        node = LocalizerNode()
    except Exception as error:  # noqa: BLE001 - wrong ROS arguments come as five kinds of rclpy's own
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        rclpy.try_shutdown()
        return 2
    try:
        spin(node)
    finally:
        node.close()
        node.destroy_node()
        rclpy.try_shutdown()
        # On its way out Python gives the default action back to every handler but this one: a second Ctrl-C would kill.
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
    return 0


if __name__ == "__main__":
    sys.exit(main())

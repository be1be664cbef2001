"""The node's services: switch it on and off, localize one frame, reset."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rclpy.lifecycle import LifecycleNode
from std_srvs.srv import SetBool, Trigger

from transposenet_ros.frame_worker import FrameWorker
from transposenet_ros.output.outputs import Outputs
from transposenet_ros.ros_commands import change_state

Running = tuple[FrameWorker, Outputs]


class Control:
    """`~/set_enabled`, `~/relocalize` and `~/reset`; each fails, with the reason, while the node is not active.

    `running` returns the worker and the outputs of an active node, None of another.
    """

    def __init__(self, node: LifecycleNode, running: Callable[[], Running | None]) -> None:
        self._node, self._running = node, running
        node.create_service(SetBool, "~/set_enabled", self._set_enabled)
        node.create_service(Trigger, "~/relocalize", self._relocalize)
        node.create_service(Trigger, "~/reset", self._reset)

    def _set_enabled(self, request: Any, response: Any) -> Any:
        def switch(worker: FrameWorker, outputs: Outputs) -> str:
            worker.set_enabled(request.data)
            return "frames are localized" if request.data else "frames are dropped as 'disabled'"

        return self._respond(response, switch)

    def _relocalize(self, request: Any, response: Any) -> Any:
        def take(worker: FrameWorker, outputs: Outputs) -> str:
            outputs.robot_frames.initial_pose.relocalize()
            worker.take_one()
            return "the next frame is localized"

        return self._respond(response, take)

    def _reset(self, request: Any, response: Any) -> Any:
        def reset(worker: FrameWorker, outputs: Outputs) -> str:
            worker.restart()
            outputs.forget()
            return "stamps, path, transforms and the conflict about them are cleared"

        return self._respond(response, reset)

    def _respond(self, response: Any, work: Callable[[FrameWorker, Outputs], str]) -> Any:
        running = self._running()
        if running is None:
            state = self._node._state_machine.current_state[1]
            step = "configure" if state == "unconfigured" else "activate"
            advice = change_state(self._node.get_fully_qualified_name(), step)
            response.success, response.message = False, f"the node is {state}; {advice}"
        else:
            response.success, response.message = True, work(*running)
        return response

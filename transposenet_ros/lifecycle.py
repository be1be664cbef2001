"""Life-cycle callbacks that report what went wrong: rclpy hides exceptions there, and raises out of spin elsewhere."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn

from transposenet_core.errors import UserError
from transposenet_ros.ros_commands import mend


def reported(transition: Callable[[Any, LifecycleState], None]) -> Callable[[Any, LifecycleState], Any]:
    """Make a life-cycle callback of a method that raises: rclpy would hide the exception.

    The node's `fault` becomes the sentence, or empty where the transition succeeded.
    """

    @functools.wraps(transition)
    def on_transition(self: Any, state: LifecycleState) -> TransitionCallbackReturn:
        try:
            transition(self, state)
        except Exception as error:  # noqa: BLE001 - whatever it was, it is logged and the node goes on
            text = str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {error}"
            self.fault = f"{transition.__name__.removeprefix('on_')} failed: {text}"
            if self.context.ok():  # otherwise the node was shut down meanwhile, which is the failure
                self.get_logger().error(self.fault)
            return TransitionCallbackReturn.FAILURE
        self.fault = ""
        return TransitionCallbackReturn.SUCCESS

    return on_transition


def refuse_impossible_transitions(node: LifecycleNode) -> None:
    """Refuse a transition that the state does not have: rclpy alone raises out of spin."""
    service = node._service_change_state
    change_state = service.callback

    def respond(request: Any, response: Any) -> Any:
        try:
            return change_state(request, response)
        except Exception as error:  # noqa: BLE001 - rclpy's RCLError is no public name
            node.get_logger().warning(f"transition {request.transition.id} refused: {error}")
            response.success = False
            return response

    service.callback = respond


def start_by_itself(node: LifecycleNode) -> None:
    """Configure and activate; where that fails, log how to continue."""
    if node.trigger_configure() == TransitionCallbackReturn.SUCCESS:
        node.trigger_activate()
    elif node.context.ok():
        advice = mend(node.get_fully_qualified_name())
        node.get_logger().warning(f"the node stays unconfigured; {advice}")

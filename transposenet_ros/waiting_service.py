"""Parameter changes that take seconds to prepare, answered when they are ready while the executor goes on."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.node import Node
from rclpy.task import Future


def prepare_parameter_changes(node: Node, name: str, prepare: Callable[[str], None]) -> None:
    """Let `prepare(value)` run in a thread of its own before a request to change the parameter `name` is judged.

    rclpy judges inside the executor's thread, where loading a model would hold up every frame. The two services that
    change parameters get a callback that waits without blocking; what `prepare` found out is for the judge to use.
    """
    # A group of their own: in the node's, the one that waits would keep every other callback waiting.
    group = ReentrantCallbackGroup()
    for service in node.services:
        if service.srv_name.endswith(("/set_parameters", "/set_parameters_atomically")):
            service.callback = _prepared(node, service.callback, name, prepare)
            service.callback_group = group
            group.add_entity(service)


def _prepared(
    node: Node, answer: Callable[[Any, Any], Any], name: str, prepare: Callable[[str], None]
) -> Callable[[Any, Any], Any]:
    async def waiting(request: Any, response: Any) -> Any:
        for parameter in request.parameters:
            if parameter.name == name:
                done: Future = Future(executor=node.executor)

                def work(value: str = parameter.value.string_value, done: Future = done) -> None:
                    try:
                        prepare(value)
                    finally:
                        done.set_result(None)
                        if node.executor is not None:
                            node.executor.wake()  # it may be waiting for messages, and asks for nothing meanwhile

                threading.Thread(target=work, name=f"prepare_{name}", daemon=True).start()
                await done
        return answer(request, response)

    return waiting

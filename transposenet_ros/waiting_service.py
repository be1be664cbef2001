"""Parameter changes that take seconds to prepare: the response is sent when they are ready, the executor goes on."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.node import Node
from rclpy.task import Future


def prepare_parameter_changes(
    node: Node, name: str, prepare: Callable[[str], None], forget: Callable[[str], None], pool: ThreadPoolExecutor
) -> None:
    """Let `prepare(value)` run in `pool` before a request to change the parameter `name` is checked, `forget(value)`
    after its response.

    rclpy checks inside the executor's thread, where loading a model would delay every frame. The two services that
    change parameters get a callback that waits without blocking; the check uses what `prepare` found out.
    """
    # A group of their own: in the node's, the one that waits would block every other callback.
    group = ReentrantCallbackGroup()

    def waiting(respond: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
        async def respond_when_prepared(request: Any, response: Any) -> Any:
            values = [p.value.string_value for p in request.parameters if p.name == name]
            for value in values:
                await _in_pool(node, pool, prepare, value)
            try:
                return respond(request, response)
            finally:
                for value in values:
                    forget(value)

        return respond_when_prepared

    for service in node.services:
        if service.srv_name.endswith(("/set_parameters", "/set_parameters_atomically")):
            service.callback = waiting(service.callback)
            service.callback_group = group
            group.add_entity(service)


def _in_pool(node: Node, pool: ThreadPoolExecutor, prepare: Callable[[str], None], value: str) -> Future:
    done: Future = Future(executor=node.executor)

    def work() -> None:
        try:
            prepare(value)
        finally:
            done.set_result(None)
            if node.executor is not None:
                node.executor.wake()  # it may be waiting for messages and would not check the future meanwhile

    pool.submit(work)
    return done

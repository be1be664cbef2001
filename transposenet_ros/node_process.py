"""Nodes as a process: from rclpy's start to an exit code, whatever signals and callbacks do."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Sequence
from typing import Any

import rclpy
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node

ENDING = (signal.SIGINT, signal.SIGTERM)


def spin(nodes: Sequence[Node]) -> None:
    """Run the nodes until they are told to end. A callback that raises is logged: no message may end the process."""
    context = nodes[0].context
    executor = SingleThreadedExecutor(context=context)
    for node in nodes:
        executor.add_node(node)
    while context.ok():
        try:
            executor.spin()
        except ExternalShutdownException:
            break
        except Exception as error:  # noqa: BLE001
            if context.ok():
                nodes[0].get_logger().error(f"a callback failed: {type(error).__name__}: {error}")


def run_nodes(make_nodes: Callable[[], Sequence[Any]], args: list[str] | None = None) -> int:
    """Run the nodes until SIGINT or SIGTERM, `close` them, return the exit code: 0, or 2 if parameters are wrong."""
    # rclpy's own handlers end spin. Python's would raise KeyboardInterrupt somewhere in the teardown when a launched
    # node gets its second Ctrl-C, and a second SIGTERM would kill.
    for number in ENDING:
        signal.signal(number, lambda *_: None)
    try:
        rclpy.init(args=args)
        nodes = make_nodes()
    except Exception as error:  # noqa: BLE001 - wrong ROS arguments come as five kinds of rclpy's own
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        rclpy.try_shutdown()
        return 2
    try:
        spin(nodes)
    finally:
        for node in nodes:
            node.close()
            node.destroy_node()
        rclpy.try_shutdown()
        # On its way out Python gives the default action back to every handler but this one: a second Ctrl-C would kill.
        for number in ENDING:
            signal.signal(number, signal.SIG_IGN)
    return 0

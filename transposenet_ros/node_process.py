"""Nodes as a process: from rclpy's start to an exit code, whatever signals and callbacks do."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from operator import methodcaller
from threading import Thread
from typing import Any

import rclpy
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node

ENDING = (signal.SIGINT, signal.SIGTERM)


def spin(node: Node) -> None:
    """Run the node until it is shut down. A callback that raises is logged: no message may end the process."""
    context = node.context
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(node)
    while context.ok():
        try:
            executor.spin()
        except ExternalShutdownException:
            break
        except Exception as error:  # noqa: BLE001
            if context.ok():
                node.get_logger().error(f"a callback failed: {type(error).__name__}: {error}")


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
        # Each in a thread of its own: loading one's model must not hold up the images of the others.
        others = [Thread(target=spin, args=(node,), daemon=True) for node in nodes[1:]]
        for thread in others:
            thread.start()
        spin(nodes[0])
        for thread in others:
            thread.join()
    finally:
        with ExitStack() as ending:  # even if one raises, all are closed before any is destroyed
            ending.callback(_stay_to_the_end)
            ending.callback(rclpy.try_shutdown)
            for step in ("destroy_node", "close"):  # the last one pushed runs first
                for node in nodes:
                    ending.callback(methodcaller(step), node)
    return 0


def _stay_to_the_end() -> None:
    # On its way out Python gives the default action back to every handler but this one: a second Ctrl-C would kill.
    for number in ENDING:
        signal.signal(number, signal.SIG_IGN)

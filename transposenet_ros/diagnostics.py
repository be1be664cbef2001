"""Publishes the node's health on /diagnostics, at a steady pace whatever the node's clock does."""

from __future__ import annotations

from collections.abc import Callable

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.clock import Clock
from rclpy.clock_type import ClockType
from rclpy.node import Node
from rclpy.qos_overriding_options import QoSOverridingOptions

from transposenet_ros.health import NOTHING, NodeState, diagnostic_status
from transposenet_ros.statistics import Statistics


class Diagnostics:
    """A message every `period` seconds of wall time: a stopped /clock must not stop the diagnostics that report it."""

    def __init__(self, node: Node, period: float, node_state: Callable[[], NodeState]) -> None:
        self._node, self._node_state = node, node_state
        self.follow(Statistics())
        self._publisher = node.create_publisher(
            DiagnosticArray, "/diagnostics", 10, qos_overriding_options=QoSOverridingOptions.with_default_policies()
        )
        self._timer = node.create_timer(period, self._publish, clock=Clock(clock_type=ClockType.STEADY_TIME))

    def follow(self, statistics: Statistics) -> None:
        """Report on these from now on."""
        self._statistics, self._before, self._newest = statistics, NOTHING, NOTHING

    def set_period(self, period: float) -> None:
        self._timer.timer_period_ns = round(period * 1e9)

    def _publish(self) -> None:
        now = self._node.get_clock().now()
        snapshot = self._statistics.snapshot(now.nanoseconds)
        # Without news since the last report the level is that of the frames before it: a slow camera does not flicker.
        if (snapshot.localized, snapshot.dropped) != (self._newest.localized, self._newest.dropped):
            self._before = self._newest
        self._newest = snapshot
        name = self._node.get_fully_qualified_name()
        status = diagnostic_status(name, self._node_state(), self._before, snapshot)
        message = DiagnosticArray(status=[status])
        message.header.stamp = now.to_msg()
        self._publisher.publish(message)

"""How the node's publishers are opened."""

from __future__ import annotations

from typing import Any

from rclpy.event_handler import PublisherEventCallbacks
from rclpy.lifecycle import LifecycleNode
from rclpy.lifecycle.publisher import LifecyclePublisher
from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy
from rclpy.qos_overriding_options import QoSOverridingOptions


def open_publisher(
    node: LifecycleNode, message_type: type, topic: str, depth: int = 1, lasting: bool = False, **options: Any
) -> LifecyclePublisher:
    """A publisher that sends while the node is active: reliable, its newest `depth` messages, also for late-joining
    subscribers (transient local) where `lasting`, unless the parameters `qos_overrides.TOPIC.publisher.*` differ."""
    # Without rclpy's own log lines about an incompatible subscriber: the subscriber logs it as well, and each of
    # them costs the executor some microseconds at every image.
    options.setdefault("event_callbacks", PublisherEventCallbacks(use_default_callbacks=False))
    # A profile of its own: rclpy writes the overrides into it, and another topic that shares it would follow them.
    profile = QoSProfile(
        history=HistoryPolicy.KEEP_LAST,
        depth=depth,
        reliability=ReliabilityPolicy.RELIABLE,
        durability=DurabilityPolicy.TRANSIENT_LOCAL if lasting else DurabilityPolicy.VOLATILE,
    )
    overrides = QoSOverridingOptions.with_default_policies()
    return node.create_lifecycle_publisher(message_type, topic, profile, qos_overriding_options=overrides, **options)

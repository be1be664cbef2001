"""The subscription to the camera: raw or compressed, with a reliability that fits its publishers."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from rclpy.clock import Clock
from rclpy.clock_type import ClockType
from rclpy.event_handler import QoSSubscriptionMatchedInfo, SubscriptionEventCallbacks
from rclpy.node import Node
from rclpy.qos import HistoryPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CompressedImage, Image

from transposenet_core.errors import UserError
from transposenet_ros.bags.topics import IMAGE_TYPES
from transposenet_ros.input.arrival_gaps import ArrivalGaps
from transposenet_ros.input.delays import delays

# The executor empties this queue at once into the mailbox, which counts what it supersedes.
DEPTH = 5
RECHECK_SECONDS = 0.2
MESSAGES = {"raw": Image, "compressed": CompressedImage}
TYPE_NAMES = {transport: type_name for type_name, transport in IMAGE_TYPES.items()}


def base_topic(node: Node) -> str:
    """What `image` is remapped to: the topic of a camera without the suffix of a transport."""
    return node.resolve_topic_name("image")


def input_topic(node: Node, transport: str) -> str:
    """The resolved topic of a transport, raw or compressed; remapping `image` moves both, as in image_transport."""
    base = base_topic(node)
    return node.resolve_topic_name(f"{base}/compressed") if transport == "compressed" else base


class ImageInput:
    """A subscription of `node` that hands every message and its `delays` to `on_image` until it is closed, and the
    number lost between two of them to `on_lost`.

    `transport` is raw or compressed, `quality` auto, sensor_data or reliable: see the parameters of these names.
    ``heard`` is the steady clock (s) at the last message, or at the start. UserError for one of the node's own topics.
    """

    def __init__(
        self,
        node: Node,
        transport: str,
        quality: str,
        on_image: Callable[[Any, dict[str, float]], None],
        on_lost: Callable[[int], None],
    ) -> None:
        self._node, self._on_image, self._on_lost = node, on_image, on_lost
        self.transport = transport
        self._type, self.type_name = MESSAGES[transport], TYPE_NAMES[transport]
        self.topic = input_topic(node, transport)
        self._refuse_own_topic()
        # Best effort until the publishers are known: it is the reliability that every one of them is compatible with.
        self.reliable = quality == "reliable"
        self.heard = time.monotonic()
        self._subscription = self._subscribe()
        self._timer = None
        if quality == "auto":
            steady = Clock(clock_type=ClockType.STEADY_TIME)
            self._timer = node.create_timer(RECHECK_SECONDS, self._fit_publishers, clock=steady)

    @property
    def quality(self) -> QoSProfile:
        """The QoS that the subscription requests."""
        reliability = ReliabilityPolicy.RELIABLE if self.reliable else ReliabilityPolicy.BEST_EFFORT
        return QoSProfile(history=HistoryPolicy.KEEP_LAST, depth=DEPTH, reliability=reliability)

    def _refuse_own_topic(self) -> None:
        """DDS would refuse a second type on a topic, with an obscure message."""
        own_ends: list[Any] = [*self._node.subscriptions, *self._node.publishers]
        for own in own_ends:
            if own.topic_name == self.topic and own.msg_type is not self._type:
                raise UserError(
                    f"'image' is remapped to {self.topic}, which this node uses itself and not for {self.type_name}; "
                    "remap it to the topic of a camera"
                )

    def _subscribe(self) -> Any:
        gaps = ArrivalGaps()

        def match(event: QoSSubscriptionMatchedInfo) -> None:
            gaps.match(event.current_count)

        def hear(message: Any, info: dict[str, Any]) -> None:
            self.heard, now_ns = time.monotonic(), time.time_ns()
            if lost := gaps.before(info["publication_sequence_number"]):
                self._on_lost(lost)
            self._on_image(message, delays(info, now_ns))

        # InputWatch reports more about an incompatible publisher than rclpy's own callbacks would.
        events = SubscriptionEventCallbacks(matched=match, use_default_callbacks=False)
        # rclpy's type hint covers only callbacks that take the message alone.
        return self._node.create_subscription(self._type, self.topic, hear, self.quality, event_callbacks=events)  # type: ignore[arg-type]

    def _fit_publishers(self) -> None:
        offered = [p.qos_profile.reliability for p in self._node.get_publishers_info_by_topic(self.topic)]
        reliable = all(policy == ReliabilityPolicy.RELIABLE for policy in offered)
        if offered and reliable != self.reliable:
            self.reliable = reliable
            self._node.destroy_subscription(self._subscription)
            self._subscription = self._subscribe()

    def close(self) -> None:
        if self._timer is not None:
            self._node.destroy_timer(self._timer)
        self._node.destroy_subscription(self._subscription)

"""The node's subscriptions of /tf and /tf_static, which fill a `TransformBuffer`."""

from __future__ import annotations

from typing import Any, ClassVar
from weakref import WeakSet

from rclpy.clock import JumpThreshold, TimeJump
from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy

from transposenet_core.errors import UserError
from transposenet_ros.transforms.buffer import TransformBuffer
from transposenet_ros.transforms.conversion import transform_from_message
from transposenet_ros.transforms.errors import InvalidArgumentError, OldTransformError

TF_DEPTH = 100
TF_QUALITY = QoSProfile(history=HistoryPolicy.KEEP_LAST, depth=TF_DEPTH, reliability=ReliabilityPolicy.RELIABLE)
STATIC_TF_QUALITY = QoSProfile(
    history=HistoryPolicy.KEEP_LAST,
    depth=100,
    reliability=ReliabilityPolicy.RELIABLE,
    durability=DurabilityPolicy.TRANSIENT_LOCAL,
)
# As in tf2: any jump back, and none forward.
JUMP_BACK = JumpThreshold(min_forward=None, min_backward=Duration(nanoseconds=-1), on_clock_change=True)
LOG_SECONDS = 5.0
# How many transforms of the node's own may be on their way back to it: seconds' worth.
OWN_ECHOES = 200


class TransformListener:
    """Feeds `buffer` with the QoS of tf2's listener, until it is closed.

    A jump back of the node's clock clears the buffer. A transform that is refused, and a child that gets a second claim
    to its parent, are named in the log. UserError where tf2_msgs is not installed.
    """

    _open: ClassVar[WeakSet[TransformListener]] = WeakSet()

    @classmethod
    def count(cls) -> int:
        """How many there are in this process: each is a subscriber of /tf for which nothing has to be published."""
        return len(cls._open)

    def __init__(self, node: Node, buffer: TransformBuffer) -> None:
        try:
            from tf2_msgs.msg import TFMessage
        except ImportError:
            raise UserError(
                "parameter 'tf_mode' needs tf2_msgs, and it is not installed; install ros-jazzy-tf2-msgs "
                "(or packaging/tf2_msgs of this repository), or use 'none'"
            ) from None
        self._node, self._buffer = node, buffer
        self._conflicting: set[str] = set()
        self._own: dict[tuple, str] = {}
        self._subscriptions = [
            node.create_subscription(TFMessage, "/tf", lambda message: self.feed(message), TF_QUALITY),
            node.create_subscription(
                TFMessage, "/tf_static", lambda message: self.feed(message, static=True), STATIC_TF_QUALITY
            ),
        ]
        self._jump_handle = node.get_clock().create_jump_callback(JUMP_BACK, post_callback=self._clear)
        self._open.add(self)

    def feed(self, message: Any, static: bool = False, publisher: str = "") -> None:
        """Put the transforms of a TFMessage into the buffer.

        rclpy does not identify the sender of a message. A node that publishes transforms itself feeds them here under
        its own name before it publishes them: their echo from the network is then recognised as its own, and any other
        claim to the parent of that child as another publisher's (`TransformBuffer.claims`).
        """
        warn = self._node.get_logger().warning
        for transform in message.transforms:
            parent, child, stamp = transform.header.frame_id, transform.child_frame_id, transform.header.stamp
            try:
                pose = transform_from_message(transform.transform)
                stamp_ns = stamp.sec * 10**9 + stamp.nanosec
                whose = self._publisher_of((stamp_ns, parent, child, pose.position.tobytes()), publisher)
                self._buffer.set_transform(stamp_ns, parent, child, pose, static, whose)
            # Two lines on purpose: rclpy throttles by the line, and one reason must not hide the other.
            except InvalidArgumentError as error:
                warn(f"transform {parent}<-{child} refused: {error}", throttle_duration_sec=LOG_SECONDS)
            except OldTransformError as error:
                warn(f"transform {parent}<-{child} ignored: {error}", throttle_duration_sec=LOG_SECONDS)
        self._warn_of_conflicts()

    def _publisher_of(self, transform: tuple, publisher: str) -> str:
        """The name given, or that under which the same transform was fed before.

        The buffer recognises a repetition too, but not if it was cleared while the echo was on its way.
        """
        if not publisher:
            return self._own.get(transform, "")
        self._own[transform] = publisher
        if len(self._own) > OWN_ECHOES:
            del self._own[next(iter(self._own))]
        return publisher

    def _warn_of_conflicts(self) -> None:
        conflicts = self._buffer.conflicts()
        for child in conflicts.keys() - self._conflicting:
            self._node.get_logger().warning(
                f"the frame '{child}' is given a parent more than once ({' and '.join(map(str, conflicts[child]))}); "
                "let one node alone publish it"
            )
        self._conflicting = set(conflicts)

    def _clear(self, jump: TimeJump) -> None:
        self._buffer.clear()
        self._node.get_logger().warning(
            f"the clock changed its source or jumped ({jump.delta.nanoseconds / 1e9:+.3f} s): transforms cleared"
        )

    def close(self) -> None:
        """Unsubscribe; what the buffer holds stays."""
        self._open.discard(self)
        self._jump_handle.unregister()
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)
        self._subscriptions.clear()

"""The subscription to the camera's description."""

from __future__ import annotations

from collections.abc import Callable

from rclpy.node import Node
from rclpy.qos import HistoryPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo

from transposenet_ros.bags.camera_info import info_topic_beside

NAME = "camera_info"
# What every publisher of it is compatible with.
QUALITY = QoSProfile(history=HistoryPolicy.KEEP_LAST, depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)


class CameraInfoInput:
    """Hands every CameraInfo to `on_info` until it is closed.

    The topic is `camera_info` beside the image's, as everywhere in ROS, or what `camera_info` is remapped to.
    """

    def __init__(self, node: Node, image_topic: str, on_info: Callable[[CameraInfo], None]) -> None:
        self._node = node
        resolved = node.resolve_topic_name(NAME)
        if resolved == f"{node.get_namespace().rstrip('/')}/{NAME}":  # not remapped
            resolved = node.resolve_topic_name(info_topic_beside(image_topic))
        self.topic = resolved
        self._subscription = node.create_subscription(CameraInfo, resolved, on_info, QUALITY)

    def close(self) -> None:
        self._node.destroy_subscription(self._subscription)

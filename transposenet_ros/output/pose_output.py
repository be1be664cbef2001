"""The node's publishers of estimates: the camera's pose, its covariance and the frame's status."""

from __future__ import annotations

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import PoseStamped, PoseWithCovarianceStamped
from rclpy.lifecycle import LifecycleNode
from rclpy.lifecycle.publisher import LifecyclePublisher

from transposenet_ros.output.conversions import (
    nearest_sign,
    pose_stamped,
    pose_to_message,
    pose_with_covariance,
    status_array,
)
from transposenet_ros.output.frame import Frame
from transposenet_ros.output.publishers import open_publisher


class PoseOutput:
    """Publishers that send while the node is active."""

    def __init__(self, node: LifecycleNode) -> None:
        self._node = node
        self._publishers: list[LifecyclePublisher] = []
        try:
            self._pose = self._open(PoseStamped, "~/pose")
            self._pose_with_covariance = self._open(PoseWithCovarianceStamped, "~/pose_with_covariance")
            self._status = self._open(DiagnosticArray, "~/status")
        except Exception:
            self.close()
            raise
        self.forget()

    def _open(self, kind: type, topic: str) -> LifecyclePublisher:
        publisher = open_publisher(self._node, kind, topic)
        self._publishers.append(publisher)
        return publisher

    def forget(self) -> None:
        """Start a new time segment: the next orientation keeps its own sign."""
        self._previous_wxyz: np.ndarray | None = None

    def has_listeners(self) -> bool:
        return any(publisher.get_subscription_count() for publisher in self._publishers)

    def publish(self, frame: Frame) -> None:
        """Publish a frame's estimate under the image's stamp; without a pose only its status. Messages that nobody
        listens to are not made: each takes a few per cent of the time from an image to its pose."""
        estimate, header = frame.estimate, frame.header
        if estimate.localized and estimate.pose is not None:
            orientation = nearest_sign(estimate.pose.orientation, self._previous_wxyz)
            self._previous_wxyz = orientation
            pose = pose_to_message(estimate.pose, orientation)
            if self._pose.get_subscription_count():
                self._pose.publish(pose_stamped(header, pose))
            if self._pose_with_covariance.get_subscription_count():
                self._pose_with_covariance.publish(pose_with_covariance(header, pose, estimate.covariance_66))
        if self._status.get_subscription_count():
            self._status.publish(status_array(header, self._node.get_fully_qualified_name(), estimate))

    def close(self) -> None:
        for publisher in self._publishers:
            self._node.destroy_lifecycle_publisher(publisher)
        self._publishers.clear()

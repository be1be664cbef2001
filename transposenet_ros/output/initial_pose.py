"""An initial pose for AMCL and similar filters: the base's pose on /initialpose, once or at every ~/relocalize."""

from __future__ import annotations

import numpy as np
from geometry_msgs.msg import Pose as PoseMessage
from geometry_msgs.msg import PoseWithCovarianceStamped
from rclpy.lifecycle import LifecycleNode
from std_msgs.msg import Header

from transposenet_ros.output.conversions import pose_with_covariance
from transposenet_ros.output.publishers import open_publisher


class InitialPose:
    """Publishes the next base pose that is offered while it waits for one and has a subscriber.

    ``policy``: off; once after each activation; on_relocalize after each call of ~/relocalize.
    """

    def __init__(self, node: LifecycleNode, policy: str) -> None:
        self._node, self._policy = node, policy
        self._publisher = None
        if policy != "off":
            self._publisher = open_publisher(node, PoseWithCovarianceStamped, "/initialpose")
        self._due = False

    @property
    def waits(self) -> bool:
        """Whether the next base pose will be sent; without a subscriber the only one would be lost."""
        return self._due and self._publisher is not None and self._publisher.get_subscription_count() > 0

    def activate(self) -> None:
        self._due = self._policy == "once"

    def relocalize(self) -> None:
        self._due = self._due or self._policy == "on_relocalize"

    def offer(self, header: Header, pose: PoseMessage, covariance_66: np.ndarray) -> None:
        """Diagonal covariance: nav2 refuses a pose with a negative entry anywhere."""
        if self.waits and self._publisher is not None:
            self._due = False
            self._publisher.publish(pose_with_covariance(header, pose, np.diag(np.diag(covariance_66))))

    def close(self) -> None:
        if self._publisher is not None:
            self._node.destroy_lifecycle_publisher(self._publisher)

"""A start for AMCL and its like: the base's pose on /initialpose, once or at every request to relocalize.

A wrong one kidnaps the robot, so a single frame is not believed.
"""

from __future__ import annotations

import numpy as np
from geometry_msgs.msg import Pose as PoseMessage
from geometry_msgs.msg import PoseWithCovarianceStamped
from rclpy.lifecycle import LifecycleNode
from std_msgs.msg import Header

from transposenet_ros.output.agreement import AgreeingFrames, BaseEstimate
from transposenet_ros.output.conversions import pose_with_covariance
from transposenet_ros.output.publishers import open_publisher
from transposenet_ros.throttled_log import ThrottledLog


class InitialPose:
    """Sends a base pose while it waits for one and somebody listens, when that frame and those before it agree.

    ``policy``: off; once after each activation; on_relocalize after each call of ~/relocalize.
    """

    def __init__(self, node: LifecycleNode, policy: str) -> None:
        self._node, self._policy = node, policy
        self._publisher = None
        if policy != "off":
            self._publisher = open_publisher(node, PoseWithCovarianceStamped, "/initialpose")
        self._due, self._frames, self._log = False, AgreeingFrames(), ThrottledLog(node.get_logger())

    @property
    def waits(self) -> bool:
        """Whether a base pose is to be sent; one that nobody hears would be the only one, and lost."""
        return self._due and self._publisher is not None and self._publisher.get_subscription_count() > 0

    def activate(self) -> None:
        self._due = self._policy == "once"

    def relocalize(self) -> None:
        self._due = self._due or self._policy == "on_relocalize"

    def forget(self) -> None:
        """A frame was not localized, or time has jumped: the frames before it support none behind it."""
        self._frames.forget()

    def offer(self, header: Header, pose: PoseMessage, estimate: BaseEstimate) -> None:
        """`pose` is the message of `estimate`. Diagonal covariance: nav2 refuses a negative entry anywhere."""
        if not self.waits or self._publisher is None:
            return
        if missing := self._frames.add(estimate):
            self._log.info("initialpose", f"/initialpose waits for frames that agree with each other: {missing}")
            return
        self._due = False
        self._frames.forget()
        diagonal_66 = np.diag(np.diag(estimate.covariance_66))
        self._publisher.publish(pose_with_covariance(header, pose, diagonal_66))

    def close(self) -> None:
        if self._publisher is not None:
            self._node.destroy_lifecycle_publisher(self._publisher)

"""The robot's frames from an estimate: the base's pose, and the transform that `tf_mode` selects."""

from __future__ import annotations

import time
from contextlib import ExitStack

import numpy as np
from builtin_interfaces.msg import Time
from geometry_msgs.msg import PoseWithCovarianceStamped
from rclpy.lifecycle import LifecycleNode
from std_msgs.msg import Header

from transposenet_core.errors import UserError
from transposenet_core.geometry.pose import Pose
from transposenet_ros.output.agreement import BaseEstimate
from transposenet_ros.output.base_pose import base_in_map
from transposenet_ros.output.conversions import nearest_sign, pose_to_message, pose_with_covariance, transform_stamped
from transposenet_ros.output.frame import Frame
from transposenet_ros.output.initial_pose import InitialPose
from transposenet_ros.output.publishers import open_publisher
from transposenet_ros.output.units import UNSCALED
from transposenet_ros.parameters import OF_THE_ROBOT, Parameters
from transposenet_ros.throttled_log import ThrottledLog
from transposenet_ros.transforms.buffer import TransformBuffer
from transposenet_ros.transforms.errors import (
    ConnectivityError,
    ForwardExtrapolationError,
    NoDataForExtrapolationError,
    TransformError,
    UnknownFrameError,
)
from transposenet_ros.transforms.listener import TF_DEPTH, TransformListener

POLL_SECONDS = 0.005
# Another publisher that sends its transform at least this often is detected again before ours is published.
LISTEN_SECONDS = 0.4


class RobotFrames:
    """An output of the worker: `~/base_pose`, `/initialpose` and `/tf`.

    While a transform is missing, only what needs it is withheld; ``trouble`` has the transform and the cause. Two
    parents break the robot's tree: where another node gives our frame a parent, ours is not published until the node is
    reset, and then only after listening first.
    UserError where tf2_msgs is needed and not installed, or a frame that the mode needs has no name.
    """

    def __init__(self, node: LifecycleNode, parameters: Parameters) -> None:
        self._node, self._parameters, self._log = node, parameters, ThrottledLog(node.get_logger())
        self.mode = parameters.tf_mode
        self._base, self._odom = parameters.base_frame.lstrip("/"), parameters.odom_frame.lstrip("/")
        if self.mode in OF_THE_ROBOT and not self._base:
            raise UserError(f"parameter 'base_frame' is empty, tf_mode {self.mode} needs the name of the robot's base")
        if self.mode == "map_to_odom" and not self._odom:
            raise UserError(
                "parameter 'odom_frame' is empty, tf_mode map_to_odom needs the name of the odometry's frame"
            )
        self.withheld, self.trouble, self.conflict, self._silent_until = 0, "", "", 0.0
        self._name = node.get_fully_qualified_name()
        self._buffer = TransformBuffer()
        with ExitStack() as opened:
            self._listener = self._listen()
            if self._listener is not None:
                opened.callback(self._listener.close)
            self._tf = None
            if self.mode != "none":
                from tf2_msgs.msg import TFMessage  # the listener has raised where it is missing

                self._make_tf = TFMessage
                self._tf = open_publisher(node, TFMessage, "/tf", TF_DEPTH)
                opened.callback(node.destroy_lifecycle_publisher, self._tf)
            self._base_pose = open_publisher(node, PoseWithCovarianceStamped, "~/base_pose")
            opened.callback(node.destroy_lifecycle_publisher, self._base_pose)
            self.initial_pose = InitialPose(node, parameters.publish_initialpose)
            opened.pop_all()  # all are open: `close` closes them
        self.forget()

    def _listen(self) -> TransformListener | None:
        if self.mode == "none" and not self._base:
            return None
        try:
            return TransformListener(self._node, self._buffer)
        except UserError as error:
            if self.mode != "none":
                raise
            self._log.info("base_pose", f"no ~/base_pose: {error}")
            return None

    def tune(self, parameters: Parameters) -> None:
        """Apply the parameters that may be changed at any time."""
        self._parameters = parameters

    def forget_transforms(self) -> None:
        """Clear the moving transforms. For the executor, which receives /tf: what comes next belongs to the new time
        segment, and the first frame after it needs it."""
        self._buffer.clear()

    def forget(self) -> None:
        """Start a new time segment: clear signs, frames that agree, and the conflict with another publisher."""
        self._previous_wxyz: np.ndarray | None = None
        self.initial_pose.forget()
        if self.conflict:
            self._silent_until = time.monotonic() + LISTEN_SECONDS
        self.trouble = self.conflict = ""

    def has_listeners(self) -> bool:
        """Whether the base's pose or the transform has a subscriber (this process's listeners of /tf do not count)."""
        on_tf = self._tf is not None and self._node.count_subscribers("/tf") > TransformListener.count()
        return on_tf or self._base_pose.get_subscription_count() > 0 or self.initial_pose.waits

    def publish(self, frame: Frame) -> None:
        """Publish what follows from a localized frame."""
        estimate = frame.estimate
        if not estimate.localized or estimate.pose is None:
            self.initial_pose.forget()
            return
        if self.mode == "map_to_camera":
            self._send(frame.header, frame.camera_frame, estimate.pose)
        if estimate.units != "metres":  # the robot's own frames are in metres, so these give no base pose
            self.withheld += self._needs_base()
            self.trouble = f"no base pose: {UNSCALED}" if self._needs_base() else ""
            return
        try:
            if self._needs_base():
                self._publish_base(frame, estimate.pose)
            self.trouble = ""
        except TransformError as error:
            self.withheld += 1
            self.trouble = f"tf_unavailable, outputs that need it are withheld: {error}"
            self._log.warning("tf_unavailable", self.trouble)

    def close(self) -> None:
        if self._listener is not None:
            self._listener.close()
        for publisher in filter(None, (self._tf, self._base_pose)):
            self._node.destroy_lifecycle_publisher(publisher)
        self.initial_pose.close()

    def _needs_base(self) -> bool:
        asked = self._base_pose.get_subscription_count() > 0 or self.initial_pose.waits
        return self.mode in OF_THE_ROBOT or (bool(self._base) and self._listener is not None and asked)

    def _publish_base(self, frame: Frame, T_map_camera: Pose) -> None:
        deadline = time.monotonic() + self._parameters.tf_timeout  # of the frame, however many transforms are late
        # A calibration that appears later must be found later; motion that is late is worth a short wait.
        T_camera_base = self._lookup(frame.camera_frame, self._base, frame.robot_time_ns, deadline)
        T_map_base, covariance_66 = base_in_map(T_map_camera, frame.estimate.covariance_66, T_camera_base)
        orientation = nearest_sign(T_map_base.orientation, self._previous_wxyz)
        self._previous_wxyz = orientation
        pose = pose_to_message(T_map_base, orientation)
        self._base_pose.publish(pose_with_covariance(frame.header, pose, covariance_66))
        if self.mode == "map_to_base":
            self._send(frame.header, self._base, T_map_base)
        T_odom_base = None
        if self.mode == "map_to_odom":
            T_odom_base = self._lookup(self._odom, self._base, frame.robot_time_ns, deadline)
        elif self.initial_pose.waits:
            T_odom_base = self._odometry(frame.robot_time_ns, deadline)
        if self.initial_pose.waits:
            found = BaseEstimate(frame.robot_time_ns, frame.map_frame, T_map_base, covariance_66, T_odom_base)
            self.initial_pose.offer(frame.header, pose, found)
        if self.mode == "map_to_odom" and T_odom_base is not None:
            later = frame.stamp_ns + round(self._parameters.transform_tolerance * 1e9)
            header = Header(stamp=Time(sec=later // 10**9, nanosec=later % 10**9), frame_id=frame.map_frame)
            self._send(header, self._odom, T_map_base @ T_odom_base.inverse())

    def _odometry(self, time_ns: int, deadline: float) -> Pose | None:
        """`T_odom_base`, None on a robot without odometry. TransformError where there is one, and not at that time."""
        try:
            return self._lookup(self._odom, self._base, time_ns, deadline) if self._odom else None
        except (UnknownFrameError, ConnectivityError):
            return None

    def _lookup(self, target: str, source: str, time_ns: int, deadline: float) -> Pose:
        """Wait for a transform that is only late, also for the first in a time segment; not for one that nobody has
        published."""
        while True:
            try:
                return self._buffer.lookup(target, source, time_ns)
            except (ForwardExtrapolationError, NoDataForExtrapolationError):
                if time.monotonic() > deadline or not self._node.context.ok():
                    raise
                time.sleep(POLL_SECONDS)

    def _send(self, header: Header, child: str, pose: Pose) -> None:
        if self._tf is None or self._listener is None or self.conflict:
            return
        message = self._make_tf(transforms=[transform_stamped(header, child, pose_to_message(pose))])
        others = [claim for claim in self._buffer.claims(child) if claim.publisher != self._name]
        if others:
            self.conflict = (
                f"'{child}' already has a parent ({' and '.join(map(str, others))}), so this node publishes no "
                "transform; stop the other, or set tf_mode to none, then call ~/reset"
            )
            self._node.get_logger().error(self.conflict)
        if others or time.monotonic() < self._silent_until:
            return
        self._listener.feed(message, publisher=self._name)  # our own echo is then not taken for another claim
        self._tf.publish(message)

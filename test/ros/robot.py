"""A robot with a camera: its own transforms, known in closed form, and all that a localizer publishes about it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, final

import numpy as np
from geometry_msgs.msg import PoseWithCovarianceStamped, TransformStamped
from live import MATCH_SECONDS, Client, image_message, seconds_of, stamped, wait_until
from scipy.spatial.transform import Rotation
from std_msgs.msg import Header
from std_srvs.srv import Trigger
from tf2_msgs.msg import TFMessage
from watched import Watched

from transposenet_core.geometry.pose import Pose
from transposenet_ros.output.conversions import pose_from_message, pose_to_message, transform_stamped
from transposenet_ros.transforms.listener import STATIC_TF_QUALITY, TF_QUALITY

# A camera that looks ahead from half a metre up, a little beside the middle.
T_BASE_CAMERA_44 = np.eye(4)
T_BASE_CAMERA_44[:3, :3] = Rotation.from_euler("ZYX", [-85, 5, -95], degrees=True).as_matrix()
T_BASE_CAMERA_44[:3, 3] = 0.3, -0.1, 0.5
T_CAMERA_BASE_44 = np.linalg.inv(T_BASE_CAMERA_44)
SPEED, YAW_RATE = np.array([0.4, -0.2, 0.0]), 0.3


@final
class Robot:
    """`odom` <- `base_link` <- `camera`, published when the test calls for it; nothing is sent after `with`."""

    def __init__(self, client: Client, begin: float) -> None:
        self._node, self._begin = client.node, begin
        self._tf = self._node.create_publisher(TFMessage, "/tf", TF_QUALITY)
        self._tf_static = self._node.create_publisher(TFMessage, "/tf_static", STATIC_TF_QUALITY)

    def mount(self) -> None:
        """Publish where the camera is."""
        self._tf_static.publish(transforms(0.0, "base_link", "camera", T_BASE_CAMERA_44))

    def rotate_camera(self, *seconds: float) -> None:
        """Publish the same for a camera that could rotate, at each of these times."""
        for time_s in seconds:
            self._tf.publish(transforms(time_s, "base_link", "camera", T_BASE_CAMERA_44))

    def drive(self, *seconds: float) -> None:
        """Publish where the base is in odom, at each of these times."""
        for time_s in seconds:
            self._tf.publish(transforms(time_s, "odom", "base_link", self.T_odom_base_44(time_s)))

    def send_transform(self, seconds: float, parent: str, child: str) -> None:
        """Give any frame a parent, 99 m from where it could be."""
        T_44 = np.eye(4)
        T_44[0, 3] = 99.0
        self._tf.publish(transforms(seconds, parent, child, T_44))

    def T_odom_base_44(self, seconds: float) -> np.ndarray:
        """At constant speed, so that between two stamps the interpolated transform is this one."""
        T_44 = np.eye(4)
        T_44[:3, :3] = Rotation.from_rotvec([0, 0, YAW_RATE * (seconds - self._begin)]).as_matrix()
        T_44[:3, 3] = SPEED * (seconds - self._begin)
        return T_44

    def __enter__(self) -> Robot:
        for publisher in (self._tf, self._tf_static):
            wait_until(partial(self._is_matched, publisher), f"the node to hear {publisher.topic_name}")
        time.sleep(MATCH_SECONDS)
        return self

    def _is_matched(self, publisher: Any) -> bool:
        listeners = self._node.get_subscriptions_info_by_topic(publisher.topic_name)
        heard = "localizer" in [listener.node_name for listener in listeners]
        return heard and publisher.get_subscription_count() == len(listeners)

    def __exit__(self, *_: object) -> None:
        for publisher in (self._tf, self._tf_static):
            self._node.destroy_publisher(publisher)


def transforms(seconds: float, parent: str, child: str, T_parent_child_44: np.ndarray) -> Any:
    pose = pose_to_message(Pose.from_matrix(T_parent_child_44))
    return TFMessage(transforms=[stamped(transform_stamped(Header(), child, pose), seconds, parent)])


@dataclass
class Trip:
    """One configured node with a camera, a robot and all that was published."""

    node: Watched
    camera: Any
    robot: Robot
    base_poses: list[PoseWithCovarianceStamped]
    tf: list[TFMessage]

    def localize_image(self, image_HW3: np.ndarray, seconds: float | None = None, frame_id: str = "camera") -> float:
        """Take an image and wait for the camera's pose."""
        seconds = time.time() if seconds is None else seconds
        self.camera.publish(image_message(image_HW3, seconds, frame_id))
        self.node.pose_at(seconds)
        return seconds

    def camera_44(self, seconds: float) -> np.ndarray:
        return pose_from_message(self.node.pose_at(seconds).pose).matrix_44

    def base_pose_at(self, seconds: float) -> PoseWithCovarianceStamped:
        return wait_until(lambda: _at(self.base_poses, seconds), f"a base pose at {seconds}")

    def transforms(self, child: str) -> list[TransformStamped]:
        """What this node (and not the robot) published of a frame's parent."""
        transforms = [transform for message in list(self.tf) for transform in message.transforms]
        return [t for t in transforms if t.child_frame_id == child and t.header.frame_id == "office_map"]

    def transform_at(self, child: str, seconds: float) -> TransformStamped:
        return wait_until(lambda: _at(self.transforms(child), seconds), f"a transform of {child} at {seconds}")

    def reset(self) -> None:
        assert self.node.client.call(Trigger, "/localizer/reset", Trigger.Request()).success


@contextmanager
def trip(node: Watched, **parameters: object) -> Iterator[Trip]:
    """The node configured anew with these parameters, on a robot that has published nothing yet."""
    node.reconfigure(**parameters)
    camera, client = node.camera(), node.client
    base_poses = client.collect(PoseWithCovarianceStamped, "/localizer/base_pose")
    tf = client.collect(TFMessage, "/tf")
    with Robot(client, time.time()) as robot:
        yield Trip(node, camera, robot, base_poses, tf)
    client.node.destroy_publisher(camera)


def _at(messages: list[Any], seconds: float) -> Any:
    return next((message for message in list(messages) if abs(seconds_of(message) - seconds) < 1e-6), None)

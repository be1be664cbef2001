"""The first pass over a recording: the stamps of the images, every pose and transform, the camera."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np

from transposenet_core.errors import UserError
from transposenet_ros.bag_import.choices import NONE
from transposenet_ros.bag_import.images import decoded
from transposenet_ros.bag_import.names import listed, shown
from transposenet_ros.bag_import.options import ImportOptions
from transposenet_ros.bag_import.pose_covariance import PoseCovariances
from transposenet_ros.bag_import.recording import Recording, StoredMessage
from transposenet_ros.bag_import.transform_log import TransformLog
from transposenet_ros.bags.camera_info import camera_content, info_topic_beside
from transposenet_ros.bags.topics import IMAGE_TYPES, POSE_TYPE
from transposenet_ros.decoding.errors import BadEncoding, DecodeError

POSE_FIELDS: dict[str, Callable[[Any], Any]] = {
    POSE_TYPE: lambda message: message.pose,
    "geometry_msgs/msg/PoseWithCovarianceStamped": lambda message: message.pose.pose,
    "nav_msgs/msg/Odometry": lambda message: message.pose.pose,
    "geometry_msgs/msg/TransformStamped": lambda message: message.transform,
}
TF_TYPES = ("tf2_msgs/msg/TFMessage", "tf/msg/tfMessage")
INFO_TYPES = ("sensor_msgs/msg/CameraInfo",)
BODY = "the body whose pose is recorded"  # no TF frame: not every message names one
MAP = "map"
MOST_INFOS = 5


class Survey:
    """What is known of a recording before an image is decoded, from one pass over the topics that matter.

    ``stamps_N`` has the image's stamp in ns for every message on the image topic, in their order, -1 where it is
    damaged. ``poses`` has a pose topic as the transforms ``map_frame`` <- BODY; ``child_frame`` is the name that the
    topic gives its body, "" where it gives none; ``covariances`` are those of its messages. ``infos`` are the
    CameraInfo messages that differ from each other. `advance` is called for every message. Raises UserError where a
    topic is missing or of a type that cannot be used.
    """

    def __init__(self, bag: Recording, options: ImportOptions, advance: Callable[[], object]) -> None:
        self._bag, self._received = bag, options.stamps == "received"
        self.image_type = bag.require(options.image, IMAGE_TYPES, "--image")
        self.pose_type = "" if options.frames else bag.require(options.pose, tuple(POSE_FIELDS), "--pose")
        self.info_topic = _info_topic(bag, options)
        self.image_frame: str | None = None
        self.map_frame = self.child_frame = ""
        self.pose_count = 0
        self.transforms, self.poses, self.covariances = TransformLog(), TransformLog(), PoseCovariances()
        self.infos: list[Any] = []
        self._known_infos: set[tuple] = set()
        self.damaged = Counter[str]()
        self._stamps: list[int] = []
        takers = self._takers(options)
        for message in bag.messages(list(takers)):
            try:
                takers[message.topic](message)
            except (ValueError, AttributeError, TypeError):
                self.damaged[message.topic] += 1
            advance()
        self.stamps_N = np.array(self._stamps, np.int64)
        self.transforms.finish()
        self.poses.finish()
        self.covariances.finish()

    def _takers(self, options: ImportOptions) -> dict[str, Callable[[StoredMessage], None]]:
        takers: dict[str, Callable[[StoredMessage], None]] = {options.image: self._take_image}
        for topic, taker, option in (
            (options.tf, self._take_moving, "--tf-topic"),
            (options.tf_static, self._take_static, "--tf-static-topic"),
        ):
            if topic in self._bag.topics:
                self._bag.require(topic, TF_TYPES, option)
                takers[topic] = taker
        if self.pose_type:
            takers[options.pose] = self._take_pose
        if self.info_topic:
            takers[self.info_topic] = self._take_info
        return takers

    def _take_image(self, message: StoredMessage) -> None:
        stamp_ns = message.time_ns if self._received else self._bag.header_stamp_ns(message)
        self._stamps.append(-1 if stamp_ns is None else stamp_ns)
        if self.image_frame is None:  # the first undamaged one stands for all: an image's bytes are not read twice
            image = self._bag.deserialize(message)
            self._check_colours(image, message.topic)
            self.image_frame = image.header.frame_id.removeprefix("/")

    def _check_colours(self, image: Any, topic: str) -> None:
        """UserError for depth and other encodings that are not images, before a long recording is read."""
        try:
            decoded(image, self.image_type)
        except BadEncoding as error:
            raise UserError(
                f"{self._bag.path}: the images on {shown(topic)} cannot be used: {shown(str(error))}; name the topic "
                "of the colour or grey images with --image, that of depth with --depth"
            ) from None
        except DecodeError:
            pass  # a damaged one is left out and counted when the images are written

    def _take_moving(self, message: StoredMessage) -> None:
        self.transforms.take(self._bag.deserialize(message), False, message.time_ns if self._received else None)

    def _take_static(self, message: StoredMessage) -> None:
        self.transforms.take(self._bag.deserialize(message), True)

    def _take_pose(self, message: StoredMessage) -> None:
        fields = self._bag.deserialize(message)
        value = POSE_FIELDS[self.pose_type](fields)
        frames = fields.header.frame_id.removeprefix("/"), getattr(fields, "child_frame_id", "").removeprefix("/")
        if self.pose_count and frames != (self.map_frame, self.child_frame):
            both = (f"'{child}' in '{parent}'" for parent, child in (frames, (self.map_frame, self.child_frame)))
            raise UserError(
                f"{self._bag.path}: the poses on {shown(message.topic)} change their frames: {listed(both)}; "
                "one body in one map is allowed: record each on its own topic"
            )
        self.map_frame, self.child_frame = frames
        self.pose_count += 1
        if self.pose_type == "geometry_msgs/msg/TransformStamped":
            transform = value
        else:
            transform = SimpleNamespace(translation=value.position, rotation=value.orientation)
        header = SimpleNamespace(frame_id=self.map_frame or MAP, stamp=fields.header.stamp)
        stamped = SimpleNamespace(header=header, child_frame_id=BODY, transform=transform)
        time_ns = message.time_ns if self._received else None
        self.poses.take(SimpleNamespace(transforms=[stamped]), False, time_ns)
        if (covariance_36 := getattr(getattr(fields, "pose", None), "covariance", None)) is not None:
            stamp = fields.header.stamp
            stamp_ns = stamp.sec * 10**9 + stamp.nanosec if time_ns is None else time_ns
            self.covariances.take(stamp_ns, covariance_36)

    def _take_info(self, message: StoredMessage) -> None:
        camera = info_fields(self._bag.deserialize(message))
        content = camera_content(camera)
        if len(self.infos) < MOST_INFOS and content not in self._known_infos:
            self._known_infos.add(content)
            self.infos.append(camera)


def info_fields(info: Any) -> SimpleNamespace:
    """What a CameraInfo of ROS 1 or 2 says of the camera, with ROS 2's names."""
    capital = hasattr(info, "K")  # ROS 1
    arrays = {name: np.asarray(getattr(info, name.upper() if capital else name)) for name in "dkrp"}
    others = {name: getattr(info, name) for name in ("width", "height", "distortion_model", "binning_x")}
    return SimpleNamespace(**arrays, **others, binning_y=info.binning_y, roi=info.roi)


def _info_topic(bag: Recording, options: ImportOptions) -> str:
    """The topic of the CameraInfo: the one named, or `camera_info` beside the image's as everywhere in ROS."""
    if options.camera_info == NONE:
        return ""
    if options.camera_info is not None:
        bag.require(options.camera_info, INFO_TYPES, "--camera-info")
        return options.camera_info
    beside = info_topic_beside(options.image)
    return beside if bag.topics.get(beside) in INFO_TYPES else ""

"""Recordings as robots make them, written message by message, and the data sets that are made of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from mcap.writer import CompressionType
from mcap.writer import Writer as McapWriter
from rosbags.rosbag1 import Writer as Writer1
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

from transposenet_core.formats import load_scene
from transposenet_core.geometry.pose import Pose
from transposenet_core.image_files import read_image
from transposenet_core.scene import Scene
from transposenet_ros.bag_to_dataset import main

ROS2, ROS1 = get_typestore(Stores.ROS2_JAZZY), get_typestore(Stores.ROS1_NOETIC)
ROS1.register(get_types_from_msg("geometry_msgs/TransformStamped[] transforms", "tf2_msgs/msg/TFMessage"))
T0_NS = 1_700_000_000 * 10**9
ALL = ["--keyframe-distance", "0", "--keyframe-angle", "0", "--split", "none"]
Row = tuple[str, int, Any]  # topic, time of recording in ns, message


class Messages:
    """Makes messages of ROS 2, or with `ros1` of ROS 1."""

    def __init__(self, ros1: bool = False) -> None:
        self.store = ROS1 if ros1 else ROS2
        self.ros1 = ros1

    def make(self, kind: str, *fields: Any) -> Any:
        return self.store.types[kind](*fields)

    def header(self, stamp_ns: int, frame: str) -> Any:
        stamp = self.make("builtin_interfaces/msg/Time", *divmod(stamp_ns, 10**9))
        return self.make("std_msgs/msg/Header", *([0] if self.ros1 else []), stamp, frame)

    def image(self, stamp_ns: int, frame: str, image_HW3: np.ndarray) -> Any:
        height, width = image_HW3.shape[:2]
        data = np.ascontiguousarray(image_HW3).ravel()
        return self.make(
            "sensor_msgs/msg/Image", self.header(stamp_ns, frame), height, width, "rgb8", 0, 3 * width, data
        )

    def compressed(self, stamp_ns: int, frame: str, data: bytes, format: str = "jpeg") -> Any:
        kind = "sensor_msgs/msg/CompressedImage"
        return self.make(kind, self.header(stamp_ns, frame), format, np.frombuffer(data, np.uint8))

    def camera_info(self, stamp_ns: int, frame: str, size: tuple[int, int], K_33: Any, D: Iterable[float] = ()) -> Any:
        K_33, D = np.array(K_33, np.float64), np.array(list(D) or [0.0] * 5)
        P_34 = np.hstack([K_33, np.zeros((3, 1))])
        region = self.make("sensor_msgs/msg/RegionOfInterest", 0, 0, 0, 0, False)
        fields = size[1], size[0], "plumb_bob", D, K_33.ravel(), np.eye(3).ravel(), P_34.ravel(), 0, 0, region
        return self.make("sensor_msgs/msg/CameraInfo", self.header(stamp_ns, frame), *fields)

    def pose_fields(self, pose: Pose) -> Any:
        return self.make("geometry_msgs/msg/Pose", self._xyz("Point", pose), self._quaternion(pose))

    def pose_stamped(self, stamp_ns: int, frame: str, pose: Pose) -> Any:
        return self.make("geometry_msgs/msg/PoseStamped", self.header(stamp_ns, frame), self.pose_fields(pose))

    def pose_with_covariance(self, stamp_ns: int, frame: str, pose: Pose, covariance_66: Any = None) -> Any:
        covariance_36 = np.zeros(36) if covariance_66 is None else np.ravel(covariance_66)
        value = self.make("geometry_msgs/msg/PoseWithCovariance", self.pose_fields(pose), covariance_36)
        return self.make("geometry_msgs/msg/PoseWithCovarianceStamped", self.header(stamp_ns, frame), value)

    def odometry(self, stamp_ns: int, frame: str, child: str, pose: Pose) -> Any:
        value = self.make("geometry_msgs/msg/PoseWithCovariance", self.pose_fields(pose), np.zeros(36))
        still = self.make("geometry_msgs/msg/Vector3", 0.0, 0.0, 0.0)
        twist = self.make("geometry_msgs/msg/Twist", still, still)
        speed = self.make("geometry_msgs/msg/TwistWithCovariance", twist, np.zeros(36))
        return self.make("nav_msgs/msg/Odometry", self.header(stamp_ns, frame), child, value, speed)

    def transform(self, stamp_ns: int, parent: str, child: str, pose: Pose) -> Any:
        value = self.make("geometry_msgs/msg/Transform", self._xyz("Vector3", pose), self._quaternion(pose))
        return self.make("geometry_msgs/msg/TransformStamped", self.header(stamp_ns, parent), child, value)

    def tf(self, *transforms: Any) -> Any:
        return self.make("tf2_msgs/msg/TFMessage", list(transforms))

    def _xyz(self, kind: str, pose: Pose) -> Any:
        return self.make(f"geometry_msgs/msg/{kind}", *pose.position.tolist())

    def _quaternion(self, pose: Pose) -> Any:
        w, x, y, z = pose.orientation.tolist()
        return self.make("geometry_msgs/msg/Quaternion", x, y, z, w)


def write_bag(
    path: Path, rows: Iterable[Row], storage: str = "mcap", compression: CompressionMode = CompressionMode.NONE
) -> Path:
    """A rosbag2 folder of `rows`, whose message types name themselves."""
    with _compressed(Writer(path, version=9, storage_plugin=StoragePlugin[storage.upper()]), compression) as writer:
        _write(writer, rows, ROS2)
    return path


def write_rosbag1(path: Path, rows: Iterable[Row], compression: str | None = None) -> Path:
    writer = Writer1(path)
    if compression:
        writer.set_compression(Writer1.CompressionFormat[compression])
    with writer:
        _write(writer, rows, ROS1)
    return path


def write_mcap(path: Path, rows: Iterable[Row], chunked: bool) -> Path:
    """An MCAP file by the format's own library: with checked chunks, or as rosbag2's fast-write profile has it."""
    with open(path, "wb") as file:
        writer = McapWriter(
            file, 2**16, CompressionType.ZSTD if chunked else CompressionType.NONE, use_chunking=chunked
        )
        writer.start(profile="ros2")
        channels: dict[str, int] = {}
        for topic, time_ns, message in rows:
            kind = message.__msgtype__
            if topic not in channels:
                schema = writer.register_schema(kind, "ros2msg", ROS2.generate_msgdef(kind)[0].encode())
                channels[topic] = writer.register_channel(topic, "cdr", schema)
            writer.add_message(channels[topic], time_ns, bytes(ROS2.serialize_cdr(message, kind)), time_ns)
        writer.finish()
    return path


def _compressed(writer: Writer, mode: CompressionMode) -> Writer:
    if mode is not CompressionMode.NONE:
        writer.set_compression(mode, CompressionFormat.ZSTD)
    return writer


def _write(writer: Any, rows: Iterable[Row], store: Any) -> None:
    connections: dict[str, Any] = {}
    for topic, time_ns, message in rows:
        kind = message.__msgtype__
        if topic not in connections:
            connections[topic] = writer.add_connection(topic, kind, typestore=store)
        serialize = store.serialize_ros1 if store is ROS1 else store.serialize_cdr
        writer.write(connections[topic], time_ns, serialize(message, kind))


def texture(seed: int, width: int = 64, height: int = 48) -> np.ndarray:
    """(H, W, 3) uint8: coarse enough for a JPEG, another one for each seed."""
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    return cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)


def drive(ros1: bool = False, count: int = 20, step_ns: int = 50_000_000) -> Iterator[Row]:
    """Rows of a robot: base_link moves along x and rotates in the map, a camera on it; images between the poses."""
    m = Messages(ros1)
    T_base_camera = Pose(np.array([0.2, -0.1, 0.5]), np.array([0.5, -0.5, 0.5, -0.5]))
    yield "/tf_static", T0_NS, m.tf(m.transform(T0_NS, "base_link", "camera_optical", T_base_camera))
    for number in range(count):
        stamp_ns = T0_NS + number * step_ns
        for topic, message in (
            ("/tf", m.tf(m.transform(stamp_ns, "map", "base_link", base_at(stamp_ns)))),
            ("/amcl_pose", m.pose_with_covariance(stamp_ns, "map", base_at(stamp_ns))),
            ("/odom", m.odometry(stamp_ns, "map", "base_link", base_at(stamp_ns))),
            ("/mocap", m.pose_stamped(stamp_ns, "map", base_at(stamp_ns))),
            ("/tracker", m.transform(stamp_ns, "map", "base_link", base_at(stamp_ns))),
        ):
            yield topic, stamp_ns, message
        if number < count - 1:
            image_ns = stamp_ns + 20_000_000
            yield "/camera/image", image_ns, m.image(image_ns, "camera_optical", texture(number))
            K_33 = [[50.0, 0, 31.5], [0, 50.0, 23.5], [0, 0, 1]]
            yield "/camera/camera_info", image_ns, m.camera_info(image_ns, "camera_optical", (64, 48), K_33)


def base_at(stamp_ns: int) -> Pose:
    """Constant velocity and constant rotation rate: what interpolation gives back exactly."""
    seconds = (stamp_ns - T0_NS) / 1e9
    return Pose(np.array([0.5 * seconds, 0.1, 0.0]), np.array([np.cos(0.2 * seconds), 0, 0, np.sin(0.2 * seconds)]))


def check_drive(scene: Scene, count: int = 19, first: int = 0) -> None:
    """The images are those between the poses, and their cameras where base and mounting put them."""
    T_base_camera = Pose(np.array([0.2, -0.1, 0.5]), np.array([0.5, -0.5, 0.5, -0.5]))
    assert len(scene.images) == count
    for number, image in enumerate(scene.images, start=first):
        expected = base_at(T0_NS + number * 50_000_000 + 20_000_000) @ T_base_camera
        np.testing.assert_allclose(image.pose.matrix_44, expected.matrix_44, rtol=0, atol=1e-9)
        np.testing.assert_array_equal(read_image(image.path), texture(number))


def imported(bag: Path, out: Path, *options: str, image: str = "/camera/image") -> Scene:
    """The data set of every image of a recording, with a pose, all of them for training."""
    assert main([str(bag), "--image", image, "--out", str(out), *ALL, *options]) == 0
    return load_scene(f"folder:{out}")

"""Posed images as ROS messages in a rosbag2 recording."""

from __future__ import annotations

import csv
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore

from transposenet_core.atomic_files import replace_folder
from transposenet_core.errors import UserError
from transposenet_core.geometry.intrinsics import Intrinsics
from transposenet_core.geometry.lens_models import bears_distortion
from transposenet_core.geometry.pose import Pose
from transposenet_core.image_files import read_image
from transposenet_core.scene import PosedImage
from transposenet_ros.bags.topics import (
    CAMERA_INFO_TOPIC,
    COMPRESSED_TOPIC,
    GROUND_TRUTH_FRAME,
    GROUND_TRUTH_TOPIC,
    IMAGE_NAMES_FILE,
    IMAGE_TOPIC,
    POSE_TYPE,
)

STORAGES = {"mcap": StoragePlugin.MCAP, "sqlite3": StoragePlugin.SQLITE3}
SIGNATURES = {b"\xff\xd8\xff": "jpeg", b"\x89PNG\r\n\x1a\n": "png"}


class SceneBagWriter:
    """Writes posed images one by one: image, CameraInfo, and the ground-truth pose as PoseStamped and as TF.

    CameraInfo is of the image's own size: `intrinsics` are scaled to an image that was resized.

    ``map_frame`` is the parent of the ground-truth pose, ``camera_frame`` the frame_id of image and CameraInfo.
    """

    def __init__(
        self, writer: Writer, map_frame: str, camera_frame: str, compressed: bool, intrinsics: Intrinsics | None
    ):
        self._writer, self._store = writer, get_typestore(Stores.ROS2_JAZZY)
        self._types = self._store.types
        self._map_frame, self._camera_frame = map_frame, camera_frame
        self._compressed, self._intrinsics = compressed, intrinsics
        kinds = {GROUND_TRUTH_TOPIC: POSE_TYPE, "/tf": "tf2_msgs/msg/TFMessage"}
        if compressed:
            kinds[COMPRESSED_TOPIC] = "sensor_msgs/msg/CompressedImage"
        else:
            kinds[IMAGE_TOPIC] = "sensor_msgs/msg/Image"
        if intrinsics is not None:
            kinds[CAMERA_INFO_TOPIC] = "sensor_msgs/msg/CameraInfo"
        self._connections = {t: writer.add_connection(t, kind, typestore=self._store) for t, kind in kinds.items()}

    def write(self, image: PosedImage, stamp_ns: int) -> None:
        """One image with its true pose. UserError where its file is unreadable, or no image of these intrinsics by its
        aspect ratio."""
        image_HW3 = read_image(image.path)
        if self._intrinsics is not None:
            camera = self._camera_of(image, image_HW3, self._intrinsics)
            self._put(CAMERA_INFO_TOPIC, self._camera_info(camera, stamp_ns), stamp_ns)
        self._put("/tf", self._transform(image.pose, stamp_ns), stamp_ns)
        self._put(GROUND_TRUTH_TOPIC, self._pose(image.pose, stamp_ns), stamp_ns)
        if self._compressed:
            self._put(COMPRESSED_TOPIC, self._compressed_image(image.path, image_HW3, stamp_ns), stamp_ns)
        else:
            self._put(IMAGE_TOPIC, self._raw_image(image_HW3, stamp_ns), stamp_ns)

    def _put(self, topic: str, message: Any, stamp_ns: int) -> None:
        connection = self._connections[topic]
        self._writer.write(connection, stamp_ns, self._store.serialize_cdr(message, connection.msgtype))

    def _make(self, kind: str, *fields: Any) -> Any:
        return self._types[kind](*fields)

    def _header(self, frame: str, stamp_ns: int) -> Any:
        stamp = self._make("builtin_interfaces/msg/Time", *divmod(stamp_ns, 10**9))
        return self._make("std_msgs/msg/Header", stamp, frame)

    def _raw_image(self, image_HW3: np.ndarray, stamp_ns: int) -> Any:
        height, width = image_HW3.shape[:2]
        header = self._header(self._camera_frame, stamp_ns)
        return self._make("sensor_msgs/msg/Image", header, height, width, "rgb8", 0, 3 * width, image_HW3.ravel())

    def _compressed_image(self, path: Path, image_HW3: np.ndarray, stamp_ns: int) -> Any:
        """The file's own bytes where it is a JPEG or PNG, else a PNG, so that no pixel changes."""
        data = path.read_bytes()
        encoding = next((name for magic, name in SIGNATURES.items() if data.startswith(magic)), None)
        if encoding is None:
            encoding, data = "png", cv2.imencode(".png", image_HW3[..., ::-1])[1].tobytes()
        header = self._header(self._camera_frame, stamp_ns)
        return self._make("sensor_msgs/msg/CompressedImage", header, encoding, np.frombuffer(data, np.uint8))

    def _camera_info(self, i: Intrinsics, stamp_ns: int) -> Any:
        K = np.array([i.fx, 0, i.cx, 0, i.fy, i.cy, 0, 0, 1], dtype=np.float64)
        P = np.array([i.fx, 0, i.cx, 0, 0, i.fy, i.cy, 0, 0, 0, 1, 0], dtype=np.float64)
        whole_image = self._make("sensor_msgs/msg/RegionOfInterest", 0, 0, 0, 0, False)
        header = self._header(self._camera_frame, stamp_ns)
        bent = bears_distortion(i)
        lens, distortion = (i.distortion_model, np.array(i.distortion)) if bent else ("plumb_bob", np.zeros(5))
        kind, no_rotation = "sensor_msgs/msg/CameraInfo", np.eye(3).ravel()
        return self._make(kind, header, i.height, i.width, lens, distortion, K, no_rotation, P, 0, 0, whole_image)

    def _pose(self, pose: Pose, stamp_ns: int) -> Any:
        point = self._make("geometry_msgs/msg/Point", *pose.position.tolist())
        value = self._make("geometry_msgs/msg/Pose", point, self._quaternion(pose))
        return self._make(POSE_TYPE, self._header(self._map_frame, stamp_ns), value)

    def _transform(self, pose: Pose, stamp_ns: int) -> Any:
        vector = self._make("geometry_msgs/msg/Vector3", *pose.position.tolist())
        value = self._make("geometry_msgs/msg/Transform", vector, self._quaternion(pose))
        header = self._header(self._map_frame, stamp_ns)
        stamped = self._make("geometry_msgs/msg/TransformStamped", header, GROUND_TRUTH_FRAME, value)
        return self._make("tf2_msgs/msg/TFMessage", [stamped])

    def _quaternion(self, pose: Pose) -> Any:
        w, x, y, z = pose.orientation.tolist()
        return self._make("geometry_msgs/msg/Quaternion", x, y, z, w)

    def _camera_of(self, image: PosedImage, image_HW3: np.ndarray, intrinsics: Intrinsics) -> Intrinsics:
        height, width = image_HW3.shape[:2]
        try:
            return intrinsics.for_images(width, height)
        except UserError as error:
            raise UserError(f"{image.path}: {error}") from None


@contextmanager
def open_bag_writer(out: Path, storage: str, overwrite: bool = False) -> Iterator[Writer]:
    """A rosbag2 writer whose folder appears at `out` when the block ends without an error, and not at all otherwise.

    UserError where `out` exists: only a recording is replaced, and only with `overwrite`.
    """
    if out.exists() and not (overwrite and (out / "metadata.yaml").exists()):
        raise UserError(
            f"{out} already exists; name another folder with --out, or replace a recording with --overwrite"
        )
    out.parent.mkdir(parents=True, exist_ok=True)
    # The storage file carries the folder's name, so the recording gets its final name inside a temporary folder.
    work = Path(tempfile.mkdtemp(prefix=f".{out.name}.", suffix=".partial", dir=out.parent))
    try:
        with Writer(work / out.name, version=9, storage_plugin=STORAGES[storage]) as writer:
            yield writer
        replace_folder(work / out.name, out)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def write_image_names(folder: Path, names: dict[int, str]) -> None:
    """The list from which a replay reads the source image of a stamp (ns)."""
    with open(folder / IMAGE_NAMES_FILE, "w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["stamp_ns", "image"])
        rows.writerows(names.items())

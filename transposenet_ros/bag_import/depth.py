"""Depth images of a recording, registered to its colour images, as 16-bit millimetres beside them."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import cv2
import numpy as np

from transposenet_core.encoded_images.errors import ImageDataError
from transposenet_core.encoded_images.png_stream import PNG_START, read_png
from transposenet_core.errors import UserError
from transposenet_core.formats.folder_writing import FolderWriter
from transposenet_core.geometry.intrinsics import Intrinsics
from transposenet_core.geometry.pose import Pose
from transposenet_core.scene import DepthCamera
from transposenet_ros.bag_import.names import shown
from transposenet_ros.bag_import.recording import Recording
from transposenet_ros.decoding.errors import BadEncoding, BadSize, BadStep, DecodeError, DecodeFailed
from transposenet_ros.decoding.gate import check_dims

NEAREST_NS = 20_000_000  # a depth image farther away in time belongs to another image
METRES_PER_UNIT = 1e-3
# REP 118: 16 bits are millimetres, floats metres.
ENCODINGS = {"16UC1": "u2", "mono16": "u2", "32FC1": "f4"}
COMPRESSED_HEAD = 12  # bytes that compressed_depth_image_transport writes before its PNG


def add_depth(
    bag: Recording, topic: str, stamps_ns: dict[str, int], image_frame: str, received: bool, writer: FolderWriter
) -> str:
    """Give the images `stamps_ns` (name -> stamp) of `writer` the depth nearest in time; a sentence on how many.

    UserError where its images are not registered to the colour camera (`image_frame`), or that camera is not known.
    """
    camera = writer.intrinsics
    if camera is None:
        raise UserError(f"{bag.path}: --depth needs the colour camera's intrinsics; name them with --camera-info")
    wanted = _nearest(bag, topic, stamps_ns, received)
    found, faults = 0, 0
    for number, stored in enumerate(bag.messages([topic])):
        if number not in wanted:
            continue
        try:
            message = bag.deserialize(stored)
            depth_HW = millimetres(message)
        except (ValueError, DecodeError):
            faults += 1
            continue
        frame = message.header.frame_id.removeprefix("/")
        if frame != image_frame:
            raise UserError(
                f"{bag.path}: the depth on {shown(topic)} is in {shown(frame)}, the images in {shown(image_frame)}; "
                "--depth needs depth that is registered to the colour camera (aligned_depth_to_color, depth_registered)"
            )
        found += len(wanted[number])
        for name in wanted[number]:
            writer.add_depth(name, depth_HW)
        writer.depth_camera = _camera(camera, *depth_HW.shape)
    damaged = f", {faults} of its messages are damaged" if faults else ""
    return f"{found} of {len(stamps_ns)} images have depth{damaged}"


def millimetres(message: Any) -> np.ndarray:
    """(H, W) uint16, 0 where nothing was measured or the value does not fit. Raises DecodeError."""
    if hasattr(message, "format"):
        return _from_png(bytes(memoryview(message.data).cast("B")), message.format)
    check_dims(message.width, message.height)
    kind = ENCODINGS.get(message.encoding)
    if kind is None:
        raise BadEncoding(f"encoding {message.encoding!r}; supported for depth are {', '.join(ENCODINGS)}")
    dtype = np.dtype(kind).newbyteorder(">" if message.is_bigendian else "<")
    row_bytes = message.width * dtype.itemsize
    if message.step < row_bytes:
        raise BadStep(f"step {message.step}; {message.width} pixels of {message.encoding} take {row_bytes} bytes")
    if len(message.data) < message.step * message.height:
        raise BadSize(f"{len(message.data)} bytes of data for {message.height} rows of {message.step}")
    rows = np.frombuffer(message.data, np.uint8)[: message.step * message.height].reshape(message.height, message.step)
    depth_HW = np.ascontiguousarray(rows[:, :row_bytes]).view(dtype)
    if dtype.kind == "f":
        scaled_HW = np.rint(np.nan_to_num(depth_HW.astype(np.float64), nan=0, posinf=0, neginf=0) / METRES_PER_UNIT)
        depth_HW = np.where((scaled_HW > 0) & (scaled_HW < 65536), scaled_HW, 0)
    return depth_HW.astype(np.uint16)


def _from_png(data: bytes, format: str) -> np.ndarray:
    if "compressedDepth" in format:
        data = data[COMPRESSED_HEAD:]
    if "32FC1" in format or not data.startswith(PNG_START):
        raise BadEncoding(f"compressed format {format!r}; supported for compressed depth is 16UC1 in a PNG")
    try:
        stream = read_png(data)
    except ImageDataError as error:
        raise DecodeFailed(str(error)) from None
    check_dims(stream.width, stream.height)
    depth_HW = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if depth_HW is None or depth_HW.ndim != 2 or depth_HW.dtype != np.uint16:
        raise DecodeFailed("a PNG that is not a depth image of one 16-bit channel")
    return depth_HW


def _nearest(bag: Recording, topic: str, stamps_ns: dict[str, int], received: bool) -> dict[int, list[str]]:
    """Number of a depth message -> the images it is nearest to."""
    times = [m.time_ns if received else bag.header_stamp_ns(m) for m in bag.messages([topic])]
    times_N = np.array([-1 if time is None else time for time in times], np.int64)
    wanted = defaultdict(list)
    for name, stamp_ns in stamps_ns.items():
        away_N = np.abs(times_N - stamp_ns)
        if len(away_N) and away_N.min() <= NEAREST_NS:
            wanted[int(away_N.argmin())].append(name)
    return wanted


def _camera(camera: Intrinsics, height: int, width: int) -> DepthCamera:
    """Registered depth is the colour camera's, perhaps with fewer pixels."""
    same_place = Pose(np.zeros(3), np.array([1.0, 0, 0, 0]))
    return DepthCamera(camera.resized(width, height), METRES_PER_UNIT, same_place)

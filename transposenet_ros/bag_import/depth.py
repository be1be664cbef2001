"""Import of depth images that the camera driver has already registered to the colour camera."""

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
from transposenet_core.geometry.undistortion import Undistorter
from transposenet_core.scene import DepthCamera
from transposenet_ros.bag_import.cameras import intrinsics_of, is_rectified_topic
from transposenet_ros.bag_import.choices import NONE
from transposenet_ros.bag_import.names import shown
from transposenet_ros.bag_import.options import ImportOptions
from transposenet_ros.bag_import.recording import Recording
from transposenet_ros.bag_import.survey import INFO_TYPES, info_fields
from transposenet_ros.bags.camera_info import info_topic_beside
from transposenet_ros.decoding.encodings import ENCODINGS as IMAGE_ENCODINGS
from transposenet_ros.decoding.errors import BadEncoding, BadSize, BadStep, DecodeError, DecodeFailed
from transposenet_ros.decoding.gate import check_dims

NEAREST_NS = 20_000_000  # a depth image farther away in time belongs to another image
METRES_PER_UNIT = 1e-3
# REP 118: 16 bits are millimetres, floats metres.
ENCODINGS = {"16UC1": "u2", "mono16": "u2", "32FC1": "f4"}
COMPRESSED_HEAD = 12  # bytes that compressed_depth_image_transport writes before its PNG


def add_depth(
    bag: Recording,
    options: ImportOptions,
    stamps_ns: dict[str, int],
    image_frame: str,
    colour: Intrinsics | None,
    writer: FolderWriter,
) -> str:
    """Give the images `stamps_ns` (name -> stamp) of `writer` the depth nearest in time; a sentence on how many.

    The depth images keep the distortion that they were recorded with, and their camera says it: their own CameraInfo,
    else that of the images as they were recorded, `colour`. UserError where they are not registered to the colour
    camera (`image_frame`), are not those of their camera, or no camera is known.
    """
    assert options.depth is not None
    topic = options.depth
    if colour is None:
        raise UserError(f"{bag.path}: --depth needs the colour camera's intrinsics; name them with --camera-info")
    camera, source = _depth_camera(bag, topic, colour, options)
    wanted = _nearest(bag, topic, stamps_ns, options.stamps == "received")
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
        _set_camera(bag, topic, camera, depth_HW, writer)
        found += len(wanted[number])
        for name in wanted[number]:
            writer.add_depth(name, depth_HW)
    damaged = f", {faults} of its messages are damaged" if faults else ""
    return f"{found} of {len(stamps_ns)} images have depth{damaged}; its camera is by the {source}"


def _depth_camera(bag: Recording, topic: str, colour: Intrinsics, options: ImportOptions) -> tuple[Intrinsics, str]:
    """The depth images' camera with its distortion, and which CameraInfo says so."""
    rectified = is_rectified_topic(topic) if options.rectified is None else options.rectified
    beside = info_topic_beside(topic)
    if bag.topics.get(beside) in INFO_TYPES and options.camera_info != NONE:
        for stored in bag.messages([beside]):
            try:
                own = intrinsics_of(info_fields(bag.deserialize(stored)), beside, rectified)
            except (ValueError, AttributeError, TypeError, UserError):
                break  # damaged, or of a camera that is not calibrated: the colour camera's is good enough
            return own, own.source
    return (Undistorter(colour).rectified if rectified else colour), colour.source


def _set_camera(bag: Recording, topic: str, camera: Intrinsics, depth_HW: np.ndarray, writer: FolderWriter) -> None:
    """UserError where the depth image is not of the camera, or another was set before: a scene has one."""
    height, width = depth_HW.shape
    try:
        camera = camera.for_images(width, height)
    except UserError as error:
        raise UserError(f"{bag.path}: the depth on {shown(topic)}: {error}") from None
    known = writer.depth_camera
    if known is None:
        same_place = Pose(np.zeros(3), np.array([1.0, 0, 0, 0]))
        writer.depth_camera = DepthCamera(camera, METRES_PER_UNIT, same_place)
    elif known.intrinsics != camera:
        raise UserError(
            f"{bag.path}: the depth on {shown(topic)} has another camera than the depth before it "
            f"({width}x{height} and {known.intrinsics.width}x{known.intrinsics.height} pixels, or other intrinsics); "
            "a scene has one: import the recordings into two folders"
        )


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
    encoding = format.partition(";")[0].strip()
    of_an_image = encoding in IMAGE_ENCODINGS and encoding not in ENCODINGS  # a mosaic of 16 bits is grey as well
    if of_an_image or "32FC1" in format or not data.startswith(PNG_START):
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

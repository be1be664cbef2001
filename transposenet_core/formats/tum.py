"""The layout of the TUM RGB-D benchmark: rgb.txt, groundtruth.txt and, if there is depth, depth.txt.

Convention: groundtruth.txt has `timestamp tx ty tz qx qy qz qw`: the centre of the colour camera in map metres and its
camera-to-map quaternion, w last, optical axes (Sturm et al. 2012, file formats). Poses are interpolated at the
images' stamps. Depth is registered to colour, 5000 units per metre; the depth image nearest in time is used,
up to 20 ms off.
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np

from transposenet_core.errors import UserError
from transposenet_core.formats import labels
from transposenet_core.formats.association import NANOSECONDS, nanoseconds
from transposenet_core.formats.camera_files import read_camera_json
from transposenet_core.formats.common_camera import first_camera
from transposenet_core.formats.declared_convention import T_MAP_CAMERA, PoseConvention
from transposenet_core.formats.faults import Faults
from transposenet_core.formats.labels import ImageFiles
from transposenet_core.formats.numbers import number_option, positive_option
from transposenet_core.formats.rows import PoseReader
from transposenet_core.formats.trajectories import (
    TIME_OPTIONS,
    Frame,
    Trajectory,
    named_frame,
    pose_frames,
    sequence_folders,
    stamped_rows,
    time_offset_s,
    without_repeated,
)
from transposenet_core.geometry.intrinsics import Intrinsics, aspect_difference
from transposenet_core.geometry.pose import Pose
from transposenet_core.image_files import image_size
from transposenet_core.scene import DepthCamera, PosedImage, Scene

NAME = "tum"
LAYOUT = "rgb.txt, groundtruth.txt, optional depth.txt and camera.json (or a folder of such folders, in one map frame)"
CONVENTION = "timestamp tx ty tz qx qy qz qw: camera-to-map, w last, metres, optical axes; interpolated at the images"
CAMERA_OPTIONS = ("fx", "fy", "cx", "cy")
DISTORTION_OPTIONS = ("k1", "k2", "p1", "p2", "k3")
OPTIONS = {
    "fx": "with fy, cx, cy the colour camera in pixels; default: camera.json, or the benchmark's by the folder's name",
    **{name: "see fx" for name in CAMERA_OPTIONS[1:]},
    "k1": "with k2, p1, p2, k3 its distortion (plumb_bob), default 0",
    **{name: "see k1" for name in DISTORTION_OPTIONS[1:]},
    **TIME_OPTIONS,
}
COLOUR, GROUND_TRUTH, DEPTH, CAMERA = "rgb.txt", "groundtruth.txt", "depth.txt", "camera.json"
DEPTH_UNITS_PER_METRE = 5000
DEPTH_TOLERANCE_NS = 20_000_000
# The benchmark's page, "Intrinsic Camera Calibration of the Kinect", colour cameras; freiburg3 is undistorted already.
PUBLISHED = {
    "1": Intrinsics(640, 480, 517.3, 516.5, 318.6, 255.3, "TUM RGB-D, published for freiburg1", False, "plumb_bob",
                    (0.2624, -0.9531, -0.0054, 0.0026, 1.1633)),
    "2": Intrinsics(640, 480, 520.9, 521.0, 325.1, 249.7, "TUM RGB-D, published for freiburg2", False, "plumb_bob",
                    (0.2312, -0.7849, -0.0033, -0.0001, 0.9172)),
    "3": Intrinsics(640, 480, 535.4, 539.2, 320.1, 247.6, "TUM RGB-D, published for freiburg3", True),
}  # fmt: skip


def recognises(path: Path) -> bool:
    return any((folder / GROUND_TRUTH).is_file() for folder in sequence_folders(path, [COLOUR]))


def pose_convention(options: dict[str, str], scene_name: str) -> PoseConvention:
    return T_MAP_CAMERA


def load(root: Path, split_file: Path | None, options: dict[str, str], faults: Faults) -> Scene:
    """The scene at `root`, a sequence or a folder of sequences; all `train` without a split file."""
    folders = sequence_folders(root, [COLOUR])
    if not folders:
        raise UserError(f"{root}: no {COLOUR} found there or in a folder below; {NAME} reads {LAYOUT}")
    image_files = ImageFiles(root, faults, labels.is_labels_only(options))
    frames: list[tuple[Frame, Pose]] = []
    depths: dict[str, Frame] = {}
    for folder in folders:
        below = "" if folder == root else folder.name
        colour = _frames(folder / COLOUR, below, faults)
        frames += pose_frames(colour, _trajectory(folder / GROUND_TRUTH, faults), folder / COLOUR, options, faults)
        if (folder / DEPTH).is_file():
            depths |= _nearest(colour, _frames(folder / DEPTH, below, faults))
    splits = {frame.name: "train" for frame, _ in frames}
    if split_file is not None:
        splits = labels.chosen_splits(root, split_file, splits.keys(), COLOUR, faults)
    images = []
    for frame, pose in frames:
        if frame.name in splits and (path := image_files.find(frame.name, frame.where, frame.text)) is not None:
            depth = depths.get(frame.name)
            depth_path = None if depth is None else image_files.find(depth.name, depth.where, depth.text)
            sequence = Path(frame.name).parts[0] if folders != [root] else root.resolve().name
            stamp = frame.stamp_ns / NANOSECONDS
            images.append(PosedImage(frame.name, path, pose, splits[frame.name], sequence, stamp, depth_path))
    scene = Scene(root.resolve().name, images, root=root, time_offset_s=time_offset_s(options, root))
    files = [] if image_files.labels_only else [image.path for image in images]
    size = image_size(files) if files else (640, 480)
    cameras = {folder: _intrinsics(folder, size, options, faults) for folder in folders}
    scene.intrinsics = first_camera(cameras, faults)
    if scene.intrinsics is not None and any(image.depth_path for image in images):
        same_place = Pose(np.zeros(3), np.array([1.0, 0, 0, 0]))
        scene.depth_camera = DepthCamera(scene.intrinsics, 1 / DEPTH_UNITS_PER_METRE, same_place)
    return scene


def _frames(path: Path, folder: str, faults: Faults) -> list[Frame]:
    frames = []
    for where, words in stamped_rows(path, "rows 'timestamp filename', stamps in seconds", most=2):
        if len(words) != 2:
            faults.refuse(where, f"{len(words)} columns, a row is 'timestamp filename'")
        elif (stamp_ns := _stamp(where, words[0], faults)) is not None:
            frame = named_frame(words[1], stamp_ns, where, folder, faults)
            frames += [frame] if frame else []
    return without_repeated(frames, path, faults)


def _trajectory(path: Path, faults: Faults) -> Trajectory:
    trajectory = Trajectory(path)
    reader, of_rows = PoseReader(trajectory.faults), trajectory.faults
    for where, words in stamped_rows(path, "rows 'timestamp tx ty tz qx qy qz qw'"):
        if len(words) != 8:
            of_rows.refuse(where, f"{len(words)} columns, a row is 'timestamp tx ty tz qx qy qz qw'")
            continue
        pose = reader.from_quaternion(where, [*words[1:4], words[7], *words[4:7]])
        stamp_ns = _stamp(where, words[0], of_rows)
        if pose is not None and stamp_ns is not None:
            trajectory.add(where, stamp_ns, pose)
    trajectory.report(faults)
    return trajectory


def _stamp(where: str, text: str, faults: Faults) -> int | None:
    try:
        return nanoseconds(text)
    except ValueError as error:
        faults.refuse(where, str(error))
        return None


def _nearest(frames: list[Frame], depths: list[Frame]) -> dict[str, Frame]:
    """The depth image nearest in time to each colour image, where it is near enough."""
    if not depths:
        return {}
    depths = sorted(depths, key=lambda frame: frame.stamp_ns)
    stamps_ns = np.array([frame.stamp_ns for frame in depths])
    nearest = {}
    for frame in frames:
        after = int(np.searchsorted(stamps_ns, frame.stamp_ns))
        around = depths[max(after - 1, 0) : after + 1]
        best = min(around, key=lambda depth: abs(depth.stamp_ns - frame.stamp_ns))
        if abs(best.stamp_ns - frame.stamp_ns) <= DEPTH_TOLERANCE_NS:
            nearest[frame.name] = best
    return nearest


def _intrinsics(folder: Path, size: tuple[int, int], options: dict[str, str], faults: Faults) -> Intrinsics | None:
    """By the options, camera.json or the folder's name, in this order; None, and a remark, where none has it."""
    width, height = size
    given = [name for name in (*CAMERA_OPTIONS, *DISTORTION_OPTIONS) if name in options]
    if given:
        missing = [name for name in CAMERA_OPTIONS if name not in options]
        if missing:
            raise UserError(f"{folder}: the options {', '.join(given)} also need {', '.join(missing)}, in pixels")
        fx, fy = (positive_option(options, name, 525, folder) for name in ("fx", "fy"))
        cx, cy = (number_option(options, name, 0, folder) for name in ("cx", "cy"))
        bent = tuple(number_option(options, name, 0, folder) for name in DISTORTION_OPTIONS)
        plain = Intrinsics(width, height, fx, fy, cx, cy, "options of --data")
        return replace(plain, rectified=False, distortion_model="plumb_bob", distortion=bent) if any(bent) else plain
    if (folder / CAMERA).is_file():
        return read_camera_json(folder / CAMERA)
    name = folder.resolve().name
    match = re.search(r"(?:freiburg|fr)([123])(?!\d)", name)
    if match and not aspect_difference(size, (640, 480)):
        return PUBLISHED[match.group(1)]  # scaled to resized images as every camera is
    found = f", and images are {width}x{height}" if match else ""
    faults.remark(
        folder,
        f"the camera is unknown: the name {name} has no freiburg1, 2 or 3{found}; "
        f"give it as {NAME}:PATH,fx=...,fy=...,cx=...,cy=... or in {CAMERA}",
    )
    return None

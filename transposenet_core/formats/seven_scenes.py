"""The layout of 7-Scenes: seq-XX/frame-NNNNNN.color.(png|jpg) beside frame-NNNNNN.pose.txt and .depth.png.

Convention: pose.txt is a 4x4 camera-to-world matrix in metres, optical axes. Its rotation block is often a little off
orthonormal (3.8e-4 in RedKitchen) and is replaced by the nearest rotation. Frames have no time: 30 Hz is the sensor's.
The poses come from tracking the depth camera, which is mounted 2.5 cm beside the colour camera: `Scene.T_pose_camera`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import numpy as np

from transposenet_core.errors import UserError
from transposenet_core.formats.camera_files import read_camera_matrix, read_matrix
from transposenet_core.formats.declared_convention import T_MAP_CAMERA, PoseConvention
from transposenet_core.formats.faults import Faults
from transposenet_core.formats.labels import ImageFiles
from transposenet_core.formats.numbers import RATE_MEANING, frame_rate, number_of
from transposenet_core.formats.rows import PoseReader, read_lines
from transposenet_core.formats.split_files import read_split_file
from transposenet_core.geometry.intrinsics import Intrinsics
from transposenet_core.geometry.pose import Pose
from transposenet_core.image_files import IMAGE_SUFFIXES, find_image, image_size, posix_name
from transposenet_core.scene import DepthCamera, PosedImage, Scene
from transposenet_core.text_files import read_text, words

NAME = "7scenes"
LAYOUT = (
    "folders seq-XX with frame-NNNNNN.color.(png|jpg), .pose.txt and optional .depth.png; TrainSplit.txt, TestSplit.txt"
)
CONVENTION = "pose.txt is camera-to-map, 4x4, metres, optical axes"
OPTIONS = {"rate": RATE_MEANING}
RATE_HZ = 30.0
# The commonly used values for the Kinect's cameras. A scene's own file holds the depth camera's, never the colour's.
COLOUR_FOCAL_640, DEPTH_FOCAL_640 = 525.0, 585.0
DEPTH_IN_COLOUR_M = np.array([-0.025, 0.0, 0.0])  # the usual value too; measured by benchmarks/depth_offset.py
METRES_PER_UNIT = 1e-3
COLOUR_INTRINSICS = "color-intrinsics.txt"
SPLIT_FILES = {"train": "TrainSplit.txt", "test": "TestSplit.txt"}


def recognises(path: Path) -> bool:
    return any(path.glob("seq-*/frame-*.pose.txt")) or any(path.glob("*/seq-*/frame-*.pose.txt"))


def pose_convention(options: dict[str, str], scene_name: str) -> PoseConvention:
    return T_MAP_CAMERA


def load(root: Path, split_file: Path | None, options: dict[str, str], faults: Faults) -> Scene:
    """The scene at `root`: a scene folder, or a folder of scenes with a split file that names images of one."""
    if split_file is not None:
        root, splits = _anchor(root, read_split_file(split_file))
    else:
        splits = _official_splits(root, faults)
    rate_hz, assumed_rate_hz = frame_rate(options, RATE_HZ, root)
    reader, image_files = PoseReader(faults), ImageFiles(root, faults)
    named = split_file or "the split"
    depths = lru_cache(_depth_images)
    found = (_posed_image(name, split, named, rate_hz, reader, image_files, depths) for name, split in splits.items())
    images = [image for image in found if image is not None]
    reader.remark_on_corrected(root)
    scene = Scene(root.resolve().name, images, root=root, assumed_rate_hz=assumed_rate_hz)
    if images:
        folder = images[0].path.parent.parent
        scene.name = folder.resolve().name or scene.name
        scene.intrinsics = _intrinsics(folder, images)
        scene.depth_camera = _depth_camera(folder, images)
        if scene.depth_camera is not None and scene.depth_camera.T_camera_depth.position.any():
            scene.T_pose_camera = scene.depth_camera.T_camera_depth.inverse()
    return scene


def _anchor(root: Path, splits: dict[str, str]) -> tuple[Path, dict[str, str]]:
    """The folder that the split file's names start from: `root`, or its parent where `root` is the scene itself."""
    for name in splits:
        for folder in (root, root.resolve().parent):
            if find_image(folder / posix_name(name)) is not None:
                return folder, splits
    first = next(iter(splits))
    raise UserError(
        f"{root}: the split file names {first}, which is neither below that folder nor below its parent, nor "
        "are the others; give the folder that the names start from"
    )


def _official_splits(root: Path, faults: Faults) -> dict[str, str]:
    """Image -> split from the two files; a recording that has neither of them is all `train`."""
    if not any((root / name).is_file() for name in SPLIT_FILES.values()):
        frames = {path.name: _frames(path) for path in sorted(root.glob("seq-*"))}
        if any(frames.values()):
            faults.remark(root, f"no {' or '.join(SPLIT_FILES.values())} there: all is train without --split")
            return {str(frame.relative_to(root)): "train" for found in frames.values() for frame in found}
    splits: dict[str, str] = {}
    for split, name in SPLIT_FILES.items():
        file = root / name
        if not file.is_file():
            raise UserError(f"{file}: missing; the 7-Scenes layout needs it, or name a split file with --split")
        for number in re.findall(r"sequence\s*(\d{1,9})", "\n".join(read_lines(file, "lines like 'sequence1'"))):
            folder = root / f"seq-{int(number):02d}"
            frames_there = _frames(folder)
            if not frames_there:
                raise UserError(f"{folder}: no frame-NNNNNN.color.(png|jpg) there, but {name} lists sequence{number}")
            for frame in frames_there:
                image = str(frame.relative_to(root))
                if splits.setdefault(image, split) != split:
                    raise UserError(f"{file}: sequence{number} is also in the other split; keep one of the two")
    if not splits:
        raise UserError(f"{root}: TrainSplit.txt and TestSplit.txt list no sequence; they have lines like 'sequence1'")
    return splits


def _frames(folder: Path) -> list[Path]:
    return sorted(p for p in folder.glob("frame-*.color.*") if p.suffix.lower() in IMAGE_SUFFIXES)


def _posed_image(
    text: str,
    split: str,
    named: object,
    rate_hz: float,
    reader: PoseReader,
    image_files: ImageFiles,
    depths: Callable[[Path], dict[str, Path]],
) -> PosedImage | None:
    name = posix_name(text)
    path = image_files.find(name, named, text)
    if path is None:
        return None
    stem = path.name.split(".")[0]
    pose = read_pose(path.with_name(f"{stem}.pose.txt"), reader)
    number = re.search(r"(\d+)$", stem)
    stamp = number_of(number.group(1)) / rate_hz if number else 0.0
    if pose is None:
        return None
    return PosedImage(name, path, pose, split, path.parent.name, stamp, depths(path.parent).get(stem))


def read_pose(path: Path, reader: PoseReader) -> Pose | None:
    """The pose in a ``pose.txt``; None, and a fault, where the file is missing or is not a camera-to-world matrix."""
    try:
        numbers = words(read_text(path))
    except (OSError, UnicodeDecodeError) as error:
        reader.faults.refuse(path, f"the pose cannot be read ({error})")
        return None
    if len(numbers) != 16:
        reader.faults.refuse(path, f"not a 4x4 camera-to-world matrix: {len(numbers)} numbers, there must be 16")
        return None
    values = reader.numbers(path, numbers, 16)
    return None if values is None else reader.from_matrix(path, values.reshape(4, 4))


def _depth_images(folder: Path) -> dict[str, Path]:
    """frame-NNNNNN -> its depth image (.depth.png before another .depth*.png); empty files are ignored."""
    found = (entry for entry in os.scandir(folder) if re.search(r"\.depth[^/]*\.png$", entry.name))
    names = sorted(entry.name for entry in found if entry.stat().st_size)
    return {name.split(".")[0]: folder / name for name in reversed(names)}


def _intrinsics(folder: Path, images: list[PosedImage]) -> Intrinsics:
    width, height = image_size([image.path for image in images])
    file = folder / COLOUR_INTRINSICS
    if file.is_file():
        return read_camera_matrix(file, width, height)
    focal = COLOUR_FOCAL_640 * width / 640
    return Intrinsics(width, height, focal, focal, width / 2, height / 2, source="7-Scenes colour camera, usual figure")


def _depth_camera(folder: Path, images: list[PosedImage]) -> DepthCamera | None:
    """The depth images' camera: depth-intrinsics.txt is for 640 columns, of which fewer may have been kept.

    depth-to-colour.txt (4x4, metres) is the transform between the two cameras. Without it and color-intrinsics.txt
    they are 7-Scenes' Kinect; with color-intrinsics.txt alone they are taken as one.
    """
    path = next((image.depth_path for image in images if image.depth_path), None)
    if path is None:
        return None
    import cv2  # only where there is a depth image: a command's help needs the formats and no OpenCV

    depth_HW = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if depth_HW is None or depth_HW.ndim != 2 or depth_HW.dtype != np.uint16:
        raise UserError(f"{path}: not a depth image, which is a PNG of one 16-bit channel in millimetres; remove it")
    height, width = depth_HW.shape
    scale = width / 640
    file, extrinsics = folder / "depth-intrinsics.txt", folder / "depth-to-colour.txt"
    focal = DEPTH_FOCAL_640 * scale
    usual = Intrinsics(width, height, focal, focal, width / 2, height / 2, source="7-Scenes depth camera, usual figure")
    camera = read_camera_matrix(file, width, height, scale) if file.is_file() else usual
    kinect = not (folder / COLOUR_INTRINSICS).is_file()
    T = Pose(DEPTH_IN_COLOUR_M if kinect else np.zeros(3), np.array([1.0, 0, 0, 0]))
    if extrinsics.is_file():
        try:
            T = Pose.from_matrix(read_matrix(extrinsics, 4, 4, "4x4 transform from the depth to the colour camera"))
        except ValueError as error:
            raise UserError(f"{extrinsics}: not a transform from the depth to the colour camera ({error})") from None
    return DepthCamera(camera, METRES_PER_UNIT, T)

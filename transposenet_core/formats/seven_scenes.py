"""The layout of 7-Scenes: seq-XX/frame-NNNNNN.color.(png|jpg) beside frame-NNNNNN.pose.txt.

Convention: pose.txt is a 4x4 camera-to-world matrix in metres, optical axes. Its rotation block is often a little off
orthonormal (3.8e-4 in RedKitchen) and is replaced by the nearest rotation. Frames carry no time: 30 Hz is the sensor's.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from transposenet_core.errors import UserError
from transposenet_core.formats.faults import Faults
from transposenet_core.formats.split_files import read_split_file
from transposenet_core.image_files import find_picture, read_image
from transposenet_core.pose import Pose
from transposenet_core.scene import Intrinsics, PosedImage, Scene

NAME = "7scenes"
LAYOUT = "folders seq-XX with frame-NNNNNN.color.(png|jpg) and frame-NNNNNN.pose.txt, TrainSplit.txt, TestSplit.txt"
CONVENTION = "pose.txt is camera-to-map, 4x4, metres, optical axes"
OPTIONS: dict[str, str] = {}
RATE_HZ = 30.0
# The commonly used figure for the Kinect's colour camera; the scenes' own file holds the depth camera's (585), not it.
COLOUR_FOCAL_640 = 525.0


def recognises(path: Path) -> bool:
    return any(path.glob("seq-*/frame-*.pose.txt")) or any(path.glob("*/seq-*/frame-*.pose.txt"))


def load(root: Path, split_file: Path | None, options: dict[str, str], faults: Faults) -> Scene:
    """The scene at `root`: a scene folder, or a folder of scenes where a split file names pictures of one of them."""
    if split_file is not None:
        root, splits = _anchor(root, read_split_file(split_file))
    else:
        splits = _official_splits(root)
    images = [_posed_image(root, name, split) for name, split in splits.items()]
    return Scene(_scene_name(root, images), images, intrinsics=_intrinsics(root, images[0]), root=root)


def _anchor(root: Path, splits: dict[str, str]) -> tuple[Path, dict[str, str]]:
    """The folder that the split file's names start from: `root`, or its parent where `root` is the scene itself."""
    first = next(iter(splits))
    for folder in (root, root.resolve().parent):
        if find_picture(folder / first) is not None:
            return folder, splits
    raise UserError(f"{root}: the split file names {first}, which is neither below that folder nor below its parent")


def _official_splits(root: Path) -> dict[str, str]:
    splits: dict[str, str] = {}
    for split, name in (("train", "TrainSplit.txt"), ("test", "TestSplit.txt")):
        file = root / name
        if not file.is_file():
            raise UserError(f"{file}: missing; the 7-Scenes layout needs it, or name a split file with --split")
        for number in re.findall(r"sequence\s*(\d+)", file.read_text()):
            folder = root / f"seq-{int(number):02d}"
            frames = sorted(p for p in folder.glob("frame-*.color.*") if p.suffix in (".png", ".jpg"))
            if not frames:
                raise UserError(f"{folder}: no frame-NNNNNN.color.(png|jpg) there, but {name} lists sequence{number}")
            splits.update({str(frame.relative_to(root)): split for frame in frames})
    if not splits:
        raise UserError(f"{root}: TrainSplit.txt and TestSplit.txt list no sequence; they need lines like 'sequence1'")
    return splits


def _posed_image(root: Path, name: str, split: str) -> PosedImage:
    path = find_picture(root / name)
    if path is None:
        raise UserError(
            f"{root / name}: the picture is missing, but the split names it; complete the data or the split"
        )
    stem = path.name.split(".")[0]
    number = re.search(r"(\d+)$", stem)
    stamp = int(number.group(1)) / RATE_HZ if number else 0.0
    return PosedImage(name, path, read_pose(path.with_name(f"{stem}.pose.txt")), split, path.parent.name, stamp)


def read_pose(path: Path) -> Pose:
    """The pose in a ``pose.txt``. UserError where the file is missing or is no camera-to-world matrix."""
    try:
        return Pose.from_matrix(np.loadtxt(path, dtype=np.float64))
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: no 4x4 camera-to-world matrix ({error}); write four lines of four numbers") from None


def _intrinsics(root: Path, first: PosedImage) -> Intrinsics:
    height, width = read_image(first.path).shape[:2]
    file = root / "color-intrinsics.txt"
    if file.is_file():
        try:
            K = np.loadtxt(file, dtype=np.float64).reshape(3, 3)
        except ValueError as error:
            raise UserError(
                f"{file}: no 3x3 camera matrix in pixels ({error}); write three lines of three numbers"
            ) from None
        return Intrinsics(width, height, K[0, 0], K[1, 1], K[0, 2], K[1, 2], source=file.name)
    focal = COLOUR_FOCAL_640 * width / 640
    return Intrinsics(width, height, focal, focal, width / 2, height / 2, source="7-Scenes colour camera, usual figure")


def _scene_name(root: Path, images: list[PosedImage]) -> str:
    folder = images[0].path.parent.parent
    return folder.resolve().name or root.resolve().name

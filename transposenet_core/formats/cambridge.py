"""The layout of Cambridge Landmarks: pictures in seqN/ below a folder with dataset_train.txt and dataset_test.txt.

Convention: `PICTURE X Y Z W P Q R`, where X Y Z is the camera's centre in map metres and W P Q R the quaternion (w
first) that turns map axes into the camera's optical axes: world-to-camera, so it is inverted here. PoseNet's text files
of other data sets (7-Scenes) look the same but hold camera-to-world quaternions; the labels do not tell which they are.
The published files have quaternions off unit length (0.945 to 2.013 in Street), which are normalised, and a camera at
3.1e9 m (GreatCourt), which is refused. Frames carry no time: the videos were thinned to 2 Hz (Kendall et al. 2015).
"""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import Path

import numpy as np

from transposenet_core.errors import UserError
from transposenet_core.formats.faults import Faults
from transposenet_core.formats.split_files import read_split_file
from transposenet_core.image_files import find_picture
from transposenet_core.pose import Pose
from transposenet_core.scene import PosedImage, Scene

NAME = "cambridge"
LAYOUT = (
    "dataset_train.txt and dataset_test.txt (3 header lines, then seqN/frameNNNNN.png X Y Z W P Q R) above pictures"
)
CONVENTION = "X Y Z is the camera's centre in map metres, W P Q R (w first) the map-to-camera quaternion, optical axes"
OPTIONS: dict[str, str] = {}
LABEL_FILES = {"train": "dataset_train.txt", "test": "dataset_test.txt"}
HEADER_LINES = 3
RATE_HZ = 2.0
MAX_POSITION_M = 1e6
QUATERNION_NORMS = (0.9, 2.1)


def recognises(path: Path) -> bool:
    return any((path / name).is_file() for name in LABEL_FILES.values())


def load(root: Path, split_file: Path | None, options: dict[str, str], faults: Faults) -> Scene:
    """The scene in the folder `root`; its pictures in the order of their sequences and numbers.

    Names in a split file start at `root` or at its parent. UserError names the file and line of the first fault.
    """
    labels: dict[str, tuple[str, str, list[str]]] = {}
    for split, name in LABEL_FILES.items():
        for picture, (where, numbers) in _read_rows(root / name).items():
            if picture in labels:
                raise UserError(f"{where}: {picture} stands in {labels[picture][1]} already; keep one of the two lines")
            labels[picture] = (split, where, numbers)
    splits = {picture: split for picture, (split, _, _) in labels.items()}
    if split_file is not None:
        splits = _chosen(root, read_split_file(split_file), labels.keys())
    images = [_posed_image(root, name, split, *labels[name][1:]) for name, split in splits.items()]
    return Scene(root.resolve().name, sorted(images, key=_time_order), root=root)


def _read_rows(path: Path) -> dict[str, tuple[str, list[str]]]:
    """Picture -> where its row stands and the row's seven numbers, not looked at yet."""
    try:
        lines = path.read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: the labels cannot be read ({error}); the Cambridge layout is {LAYOUT}") from None
    if len(lines) <= HEADER_LINES or not lines[1].startswith("ImageFile"):
        raise UserError(
            f"{path}: no labels of Cambridge Landmarks, which are three header lines, the second "
            "'ImageFile, Camera Position [X Y Z W P Q R]', and a line per picture; put the header back"
        )
    rows: dict[str, tuple[str, list[str]]] = {}
    for number, line in enumerate(lines[HEADER_LINES:], start=HEADER_LINES + 1):
        words, where = line.split(), f"{path} line {number}"
        if not words:
            continue
        if len(words) != 8:
            raise UserError(f"{where}: {len(words)} columns, a row is PICTURE X Y Z W P Q R; mend or remove the line")
        picture, *numbers = words
        if Path(picture).is_absolute() or ".." in Path(picture).parts:
            raise UserError(
                f"{where}: the picture {picture} is not below the folder; Cambridge has names like seq1/frame00001.png "
                "(PoseNet's 7-Scenes files start with / and have another convention, which is not read here)"
            )
        if picture in rows:
            raise UserError(f"{where}: {picture} stands in {rows[picture][0]} already; keep one of the two lines")
        rows[picture] = (where, numbers)
    return rows


def _chosen(root: Path, splits: dict[str, str], known: Collection[str]) -> dict[str, str]:
    """The split file's choice, by the names that the labels have."""
    folder = f"{root.resolve().name}/"
    chosen = {}
    for name, split in splits.items():
        picture = name if name in known else name.removeprefix(folder)
        if picture not in known:
            raise UserError(
                f"{root}: the split file names {name}, which has no row in {' or '.join(LABEL_FILES.values())}"
            )
        chosen[picture] = split
    return chosen


def read_pose(numbers: list[str], where: str) -> Pose:
    """``T_map_camera`` of X Y Z W P Q R; UserError that starts with `where` for numbers that are no camera pose."""
    try:
        values = np.array([float(number) for number in numbers])
    except ValueError as error:
        raise UserError(f"{where}: {error}; a row is PICTURE X Y Z W P Q R, mend or remove the line") from None
    centre, q_camera_map = values[:3], values[3:]
    if not np.isfinite(values).all():
        raise UserError(f"{where}: a number that is not finite; mend or remove the line")
    if np.linalg.norm(centre) > MAX_POSITION_M:
        distance = np.linalg.norm(centre)
        raise UserError(
            f"{where}: a camera at {distance:.3g} m, at most {MAX_POSITION_M:g} m is taken; remove the line"
        )
    norm, (lowest, highest) = float(np.linalg.norm(q_camera_map)), QUATERNION_NORMS
    if not lowest <= norm <= highest:
        raise UserError(
            f"{where}: a quaternion of length {norm:.3g}, allowed is {lowest} to {highest}; mend or remove the line"
        )
    return Pose(centre, q_camera_map * (1, -1, -1, -1))


def _posed_image(root: Path, name: str, split: str, where: str, numbers: list[str]) -> PosedImage:
    pose, path = read_pose(numbers, where), find_picture(root / name)
    if path is None:
        raise UserError(f"{root / name}: the picture is missing, but {where} has it; complete the data or the labels")
    number = re.search(r"(\d+)$", Path(name).stem)
    stamp = int(number.group(1)) / RATE_HZ if number else 0.0
    return PosedImage(name, path, pose, split, Path(name).parent.name, stamp)


def _time_order(image: PosedImage) -> list[tuple[int, str]]:
    """Sequence and frame numbers compared as numbers: seq2 before seq10."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", image.name)]

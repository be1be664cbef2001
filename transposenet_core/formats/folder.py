"""A plain folder: images, poses.csv, camera.json. bag_to_dataset writes it, and a script easily can.

Convention: `image,stamp_ns,x,y,z,qw,qx,qy,qz`: the camera's centre in map metres and the camera-to-map quaternion, w
first, optical axes; further columns split, sequence, depth, covariance (of the pose: the 21 numbers of the upper
triangle). Instead of stamp_ns (whole nanoseconds) there may be stamp (seconds). Written by folder_writing.py.
"""

from __future__ import annotations

import csv
import statistics
from pathlib import Path, PurePosixPath

import numpy as np

from transposenet_core.errors import UserError
from transposenet_core.formats import labels
from transposenet_core.formats.camera_files import read_camera_json, read_depth_camera_json, read_json
from transposenet_core.formats.declared_convention import T_MAP_CAMERA, PoseConvention
from transposenet_core.formats.faults import Faults
from transposenet_core.formats.folder_writing import CAMERA, DATASET, DEPTH_CAMERA, MOUNT, NANOSECONDS, POSES, UPPER
from transposenet_core.formats.labels import ImageFiles, Row
from transposenet_core.formats.rows import PoseReader, below
from transposenet_core.geometry.pose import Pose
from transposenet_core.image_files import posix_name
from transposenet_core.scene import SPLITS, UNITS, PosedImage, Scene
from transposenet_core.text_files import read_rows

NAME = "folder"
LAYOUT = (
    "poses.csv (image,stamp_ns,x,y,z,qw,qx,qy,qz[,split][,sequence][,depth][,covariance]; or stamp in seconds), "
    "camera.json, images where poses.csv says"
)
CONVENTION = "x y z is the camera's centre in map metres, qw qx qy qz camera-to-map, optical axes"
OPTIONS: dict[str, str] = {labels.LABELS_ONLY: labels.LABELS_ONLY_MEANING}
NUMBERS = ["x", "y", "z", "qw", "qx", "qy", "qz"]


def recognises(path: Path) -> bool:
    return (path / POSES).is_file()


def pose_convention(options: dict[str, str], scene_name: str) -> PoseConvention:
    return T_MAP_CAMERA


def load(root: Path, split_file: Path | None, options: dict[str, str], faults: Faults) -> Scene:
    """The scene in the folder `root`, in the order of poses.csv; without a column `split` all of it is `train`.

    A row whose split is empty is not used. Without camera.json the scene has no intrinsics.
    """
    table = _read_table(root / POSES)
    places = {f"{root / POSES} line {number}": line for number, line in table}
    given = (_row(where, line, faults) for where, line in places.items())
    rows = labels.by_name((row for row in given if row is not None), faults)
    splits = {name: row.split for name, row in rows.items() if row.split}
    if split_file is not None:
        splits = labels.chosen_splits(root, split_file, rows.keys(), POSES, faults)
    reader, image_files = PoseReader(faults), ImageFiles(root, faults, labels.is_labels_only(options))
    images = [_image(rows[n], places[rows[n].where], s, reader, image_files) for n, s in splits.items()]
    scene = Scene(root.resolve().name, [image for image in images if image is not None], root=root)
    if (root / DATASET).is_file():
        about = read_json(root / DATASET)
        scene.name, scene.map_frame = str(about.get("name", scene.name)), str(about.get("map_frame", scene.map_frame))
        scene.units, scene.time_offset_s = _units(root / DATASET, about), _time_offset(root / DATASET, about)
        scene.assumed_rate_hz = _assumed_rate(root / DATASET, about)
        scene.T_pose_camera = _mount(root / DATASET, about)
    if (root / CAMERA).is_file():
        scene.intrinsics = read_camera_json(root / CAMERA)
    if (root / DEPTH_CAMERA).is_file():
        scene.depth_camera = read_depth_camera_json(root / DEPTH_CAMERA)
    return scene


def _units(path: Path, about: dict) -> str:
    if (units := about.get("units", UNITS[0])) not in UNITS:
        raise UserError(f"{path}: units is {units!r}, allowed are {', '.join(UNITS)}")
    return units


def _mount(path: Path, about: dict) -> Pose | None:
    """``T_pose_camera``, where the poses are another body's."""
    if about.get(MOUNT) is None:
        return None
    try:
        return Pose.from_dict(about[MOUNT])
    except (KeyError, TypeError, ValueError):
        raise UserError(
            f"{path}: {MOUNT} is {str(about[MOUNT])[:60]!r}, it must be position (3 numbers) and orientation_wxyz "
            "(4 numbers) of the camera in the frame of the poses; fix or remove it"
        ) from None


def _assumed_rate(path: Path, about: dict) -> float | None:
    """Of a copy of images without time: their stamps count frames."""
    rate_hz = about.get("assumed_rate_hz")
    if rate_hz is None or (isinstance(rate_hz, (int, float)) and 0 < rate_hz < float("inf")):
        return rate_hz
    raise UserError(f"{path}: assumed_rate_hz is {rate_hz!r}, it must be a number above 0 or null; mend or remove it")


def _time_offset(path: Path, about: dict) -> float:
    """What was added to the images' stamps: the median of the recordings."""
    try:
        offsets = [float(seconds) for seconds in dict(about.get("time_offset_s", {})).values()]
    except (TypeError, ValueError, OverflowError):
        raise UserError(f"{path}: time_offset_s is not an object of seconds by recording; fix or remove it") from None
    return statistics.median(offsets) if offsets else 0.0


def _read_table(path: Path) -> list[tuple[int, dict[str, str]]]:
    """The rows by their columns, with the numbers of their lines; `more` is what a row has beyond them.

    UserError where there are no rows or a column is missing.
    """
    try:
        (_, columns), *lines = read_rows(path) or [(1, [])]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path}: the poses cannot be read ({error}); {NAME} reads {LAYOUT}") from None
    missing = [column for column in ["image", *NUMBERS] if column not in columns]
    if missing or not {"stamp", "stamp_ns"} & set(columns) or not lines:
        raise UserError(f"{path}: columns {','.join(columns)} and {len(lines)} rows found; {NAME} reads {LAYOUT}")
    return [(number, _by_column(columns, values)) for number, values in lines]


def _by_column(columns: list[str], values: list[str]) -> dict[str, str]:
    row = dict.fromkeys(columns, "") | dict(zip(columns, values, strict=False))
    return row | ({"more": ",".join(values[len(columns) :])} if len(values) > len(columns) else {})


def _row(where: str, line: dict[str, str], faults: Faults) -> Row | None:
    split = line.get("split", "train")
    if "more" in line:
        faults.refuse(where, "more columns than the header of the file")
    elif split not in ("", *SPLITS):
        faults.refuse(where, f"split '{split}', allowed are {', '.join(SPLITS)} and empty (not used)")
    else:
        rest = str({name: text for name, text in line.items() if name not in NUMBERS})
        return Row(line["image"], split, where, [line[name] for name in NUMBERS], rest)
    return None


def _image(
    row: Row, line: dict[str, str], split: str, reader: PoseReader, image_files: ImageFiles
) -> PosedImage | None:
    name, depth = posix_name(row.name), posix_name(line.get("depth", ""))
    pose, path = reader.from_quaternion(row.where, row.numbers), image_files.find(name, row.where, row.name)
    stamp = _stamp(row.where, line, reader.faults)
    depth_path = None
    if depth and not below(depth):
        reader.faults.refuse(row.where, f"the depth image {line['depth']} is not below the folder")
        return None
    if depth:
        depth_path = image_files.find(depth, row.where, line["depth"])
    if pose is None or path is None or stamp is None or (depth and depth_path is None):
        return None
    sequence = line.get("sequence") or PurePosixPath(name).parent.name
    covariance_66 = None
    if (text := line.get("covariance", "")) and (covariance_66 := _covariance(text)) is None:
        reader.faults.refuse(row.where, "covariance is not the 21 numbers of a covariance's upper triangle")
        return None
    return PosedImage(name, path, pose, split, sequence, stamp, depth_path, covariance_66)


def _covariance(text: str) -> np.ndarray | None:
    """(6, 6) of its upper triangle, row by row: x y z in metres, rotation vector in radians, along the map's axes."""
    try:
        values = np.array([float(number) for number in text.split()])
    except ValueError:
        return None
    if len(values) != len(UPPER[0]) or not np.isfinite(values).all():
        return None
    covariance_66 = np.zeros((6, 6))
    covariance_66[UPPER] = values
    covariance_66 = covariance_66 + np.triu(covariance_66, 1).T
    return covariance_66 if (np.diagonal(covariance_66) >= 0).all() else None


def _stamp(where: str, line: dict[str, str], faults: Faults) -> float | None:
    """Seconds. Whole nanoseconds are divided as integers: the nearest float, 240 ns apart for today's dates."""
    column = "stamp_ns" if "stamp_ns" in line else "stamp"
    try:
        stamp = int(line[column]) / NANOSECONDS if column == "stamp_ns" else float(line[column])
    except (ValueError, OverflowError):
        wanted = "whole nanoseconds" if column == "stamp_ns" else "seconds"
        faults.refuse(where, f"{column} '{line[column]}' is not a stamp, {wanted} are allowed")
        return None
    if not abs(stamp) < float("inf"):
        faults.refuse(where, "a stamp that is not finite")
        return None
    return stamp

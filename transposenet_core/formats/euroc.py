"""The layout of the EuRoC MAV data set (ASL): mav0/camN with data.csv and sensor.yaml, and the body's ground truth.

Convention: state_groundtruth_estimate0/data.csv has `timestamp, p_RS_R, q_RS (w x y z), ...`: where the *body* S is in
the map R, in metres; sensor.yaml's T_BS takes the camera's optical frame to the body. So T_map_camera is
T_map_body T_body_camera (Burri et al. 2016, section 3). Stamps are whole nanoseconds of one clock; poses are
interpolated at the images'. Sequences of one room (V1_01, V1_02, V1_03) share their map frame.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from transposenet_core.errors import UserError
from transposenet_core.formats import labels
from transposenet_core.formats.association import LARGEST_STAMP_NS, NANOSECONDS
from transposenet_core.formats.declared_convention import T_MAP_CAMERA, PoseConvention
from transposenet_core.formats.faults import Faults
from transposenet_core.formats.labels import ImageFiles
from transposenet_core.formats.rows import PoseReader, read_lines
from transposenet_core.formats.trajectories import (
    TIME_OPTIONS,
    Frame,
    Trajectory,
    named_frame,
    pose_frames,
    sequence_folders,
    stamped_rows,
)
from transposenet_core.geometry.intrinsics import Intrinsics
from transposenet_core.geometry.pose import Pose
from transposenet_core.plain_yaml import parsed_yaml
from transposenet_core.scene import PosedImage, Scene

NAME = "euroc"
LAYOUT = (
    "mav0/camN/data.csv, mav0/camN/sensor.yaml, mav0/state_groundtruth_estimate0/data.csv (or a folder of such "
    "folders, in one map frame)"
)
CONVENTION = "the body's pose: p_RS_R in metres, q_RS body-to-map, w first; composed with sensor.yaml's T_BS"
OPTIONS = {"camera": "cam0 (default) | cam1 | ...: the folder in mav0", **TIME_OPTIONS}
GROUND_TRUTH = "mav0/state_groundtruth_estimate0/data.csv"
LENSES = {  # the sensor file's names -> ROS's
    "radial-tangential": "plumb_bob",
    "radtan": "plumb_bob",
    "equidistant": "equidistant",
    "none": "none",
}


@dataclass(frozen=True, eq=False)
class Sensor:
    """What a sensor.yaml says of a camera."""

    intrinsics: Intrinsics
    T_body_camera: Pose


def recognises(path: Path) -> bool:
    return bool(sequence_folders(path, [GROUND_TRUTH]))


def pose_convention(options: dict[str, str], scene_name: str) -> PoseConvention:
    return T_MAP_CAMERA


def load(root: Path, split_file: Path | None, options: dict[str, str], faults: Faults) -> Scene:
    """The scene at `root`, a sequence or a folder of sequences; all `train` where no split file says otherwise."""
    camera = options.get("camera", "cam0")
    table = f"mav0/{camera}/data.csv"
    folders = sequence_folders(root, [GROUND_TRUTH, table])
    if not folders:
        raise UserError(f"{root}: neither {GROUND_TRUTH} nor {table} there or in a folder below; {NAME} reads {LAYOUT}")
    sensors, frames = [], []
    for folder in folders:
        _check_camera(folder, camera)
        sensors.append(read_sensor(folder / "mav0" / camera / "sensor.yaml", faults))
        bodies = pose_frames(
            _frames(folder, camera, "" if folder == root else f"{folder.name}/", faults),
            _trajectory(folder / GROUND_TRUTH, faults),
            folder / table,
            options,
            faults,
        )
        frames += [(frame, body @ sensors[-1].T_body_camera) for frame, body in bodies]
        if sensors[-1].intrinsics != sensors[0].intrinsics:
            raise UserError(f"{folder}: another camera than in {folders[0]}; a scene has one: take them one by one")
    splits = {frame.name: "train" for frame, _ in frames}
    if split_file is not None:
        splits = labels.chosen_splits(root, split_file, splits.keys(), table, faults)
    image_files, images = ImageFiles(root, faults, labels.is_labels_only(options)), []
    for frame, pose in frames:
        if frame.name in splits and (path := image_files.find(frame.name, frame.where)) is not None:
            sequence = Path(frame.name).parts[0] if folders != [root] else root.resolve().name
            stamp = frame.stamp_ns / NANOSECONDS
            images.append(PosedImage(frame.name, path, pose, splits[frame.name], sequence, stamp))
    return Scene(root.resolve().name, images, intrinsics=sensors[0].intrinsics, root=root)


def _check_camera(folder: Path, camera: str) -> None:
    known = sorted(path.parent.name for path in (folder / "mav0").glob("cam*/data.csv"))
    if camera not in known:
        raise UserError(f"{folder}: no camera {camera} in mav0, there are {', '.join(known) or 'none'}; write ,camera=")


def _frames(folder: Path, camera: str, prefix: str, faults: Faults) -> list[Frame]:
    frames = []
    path = folder / "mav0" / camera / "data.csv"
    for where, words in stamped_rows(path, ",", "rows 'timestamp [ns],filename'"):
        if len(words) != 2:
            faults.refuse(where, f"{len(words)} columns, a row is 'timestamp [ns],filename'")
        elif (stamp_ns := _stamp(where, words[0], faults)) is not None:
            frame = named_frame(words[1], stamp_ns, where, f"{prefix}mav0/{camera}/data", faults)
            frames += [frame] if frame else []
    return frames


def _trajectory(path: Path, faults: Faults) -> Trajectory:
    trajectory, reader = Trajectory(path, faults), PoseReader(faults)
    row = "'timestamp,p_x,p_y,p_z,q_w,q_x,q_y,q_z', further columns are passed over"
    for where, words in stamped_rows(path, ",", f"rows {row}"):
        if len(words) < 8:
            faults.refuse(where, f"{len(words)} columns, a row is {row}")
            continue
        pose, stamp_ns = reader.from_quaternion(where, words[1:8]), _stamp(where, words[0], faults)
        if pose is not None and stamp_ns is not None:
            trajectory.add(where, stamp_ns, pose)
    return trajectory


def _stamp(where: str, text: str, faults: Faults) -> int | None:
    if text.isdecimal() and len(text) < 20 and int(text) < LARGEST_STAMP_NS:
        return int(text)
    faults.refuse(where, f"'{text}' is no time stamp in whole nanoseconds")
    return None


def read_sensor(path: Path, faults: Faults) -> Sensor:
    """A camera's sensor.yaml. UserError where it is none of a pinhole or fisheye camera."""
    content = _read_yaml(path)
    try:
        width, height = (int(value) for value in content["resolution"])
        fx, fy, cx, cy = (float(value) for value in content["intrinsics"])
        T_44 = np.array(content["T_BS"]["data"], np.float64).reshape(4, 4)
        bent = tuple(float(value) for value in content["distortion_coefficients"])
        model, lens = str(content.get("camera_model", "pinhole")), str(content["distortion_model"])
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise UserError(
            f"{path}: no camera ({error!r}); it has resolution [w, h], intrinsics [fx, fy, cx, cy], distortion_model, "
            "distortion_coefficients, and T_BS with 16 numbers in data"
        ) from None
    if model != "pinhole" or lens not in LENSES:
        allowed = f"known are pinhole with {', '.join(LENSES)}"
        raise UserError(f"{path}: camera_model '{model}' with distortion_model '{lens}'; {allowed}: convert it")
    if min(width, height, fx, fy) <= 0 or not np.isfinite([fx, fy, cx, cy, *bent]).all():
        raise UserError(f"{path}: {width}x{height}, intrinsics {fx, fy, cx, cy}; sizes and focal lengths are above 0")
    rotation = PoseReader(faults)
    T_body_camera = rotation.from_matrix(path, T_44)
    if T_body_camera is None:
        raise UserError(f"{faults.refused[-1]} (T_BS); mend the file")
    source = f"EuRoC {path.parent.name}/{path.name}"
    rectified = lens == "none" or not any(bent)
    name, figures = ("none", ()) if rectified else (LENSES[lens], bent)
    return Sensor(Intrinsics(width, height, fx, fy, cx, cy, source, rectified, name, figures), T_body_camera)


def _read_yaml(path: Path) -> dict[str, Any]:
    """OpenCV's dialect: the head `%YAML:1.0` and the tag !!opencv-matrix are no YAML."""
    lines = [line for line in read_lines(path, "a camera's sensor.yaml") if not line.startswith("%YAML")]
    try:
        content = parsed_yaml("\n".join(lines).replace("!!opencv-matrix", ""))
    except ValueError as error:
        raise UserError(f"{path}: no YAML ({error}); mend the file") from None
    if not isinstance(content, dict):
        raise UserError(f"{path}: a {type(content).__name__}, it must be 'key: value' lines")
    return content

"""The layout of the EuRoC MAV data set (ASL): mav0/camN with data.csv and sensor.yaml, and the body's ground truth.

Convention: state_groundtruth_estimate0/data.csv has `timestamp, p_RS_R, q_RS (w x y z), ...`: where the *body* S is in
the map R, in metres; sensor.yaml's T_BS takes the camera's optical frame to the body. So T_map_camera is
T_map_body T_body_camera (Burri et al. 2016, section 3). TUM VI has the IMU's poses in mocap0/data.csv, with the same
columns, and its cameras in dso/camchain.yaml (Schubert et al. 2018). Stamps are whole nanoseconds of one clock; poses
are interpolated at the images'. Sequences of one room (V1_01, V1_02, V1_03) share their map frame.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from transposenet_core.errors import UserError
from transposenet_core.formats import labels
from transposenet_core.formats.association import LARGEST_STAMP_NS, NANOSECONDS
from transposenet_core.formats.camera_files import with_rectified_flag
from transposenet_core.formats.common_camera import first_camera
from transposenet_core.formats.declared_convention import T_MAP_CAMERA, PoseConvention
from transposenet_core.formats.faults import Faults
from transposenet_core.formats.kalibr import sensor_of
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
    time_offset_s,
    without_repeated,
)
from transposenet_core.geometry.intrinsics import Intrinsics
from transposenet_core.geometry.pose import Pose
from transposenet_core.plain_yaml import parsed_yaml
from transposenet_core.scene import PosedImage, Scene

NAME = "euroc"
LAYOUT = (
    "mav0/camN/data.csv, mav0/camN/sensor.yaml, mav0/state_groundtruth_estimate0/data.csv, or TUM VI's "
    "mav0/mocap0/data.csv and dso/camchain.yaml (or a folder of such folders, in one map frame)"
)
CONVENTION = "the body's pose: p_RS_R in metres, q_RS body-to-map, w first; composed with sensor.yaml's T_BS"
OPTIONS = {
    "camera": "cam0 (default) | cam1 | ...: the folder in mav0",
    "camchain": "Kalibr's camchain.yaml, for cameras without a sensor.yaml; default dso/camchain.yaml of the sequence",
    **TIME_OPTIONS,
}
GROUND_TRUTH_FILES = ("mav0/state_groundtruth_estimate0/data.csv", "mav0/mocap0/data.csv")
CAMCHAIN = "dso/camchain.yaml"
LENSES = {  # the sensor file's names -> ROS's
    "radial-tangential": "plumb_bob",
    "radtan": "plumb_bob",
    "equidistant": "equidistant",
    "none": "none",
}
KEYS = {  # of EuRoC's own camera files
    *("sensor_type", "comment", "T_BS", "rate_hz"),
    *("resolution", "camera_model", "intrinsics", "distortion_model", "distortion_coefficients"),
}


@dataclass(frozen=True, eq=False)
class Sensor:
    """A camera as a sensor.yaml describes it."""

    intrinsics: Intrinsics
    T_body_camera: Pose


def recognises(path: Path) -> bool:
    return bool(sequence_folders(path, GROUND_TRUTH_FILES))


def pose_convention(options: dict[str, str], scene_name: str) -> PoseConvention:
    return T_MAP_CAMERA


def load(root: Path, split_file: Path | None, options: dict[str, str], faults: Faults) -> Scene:
    """The scene at `root`, a sequence or a folder of sequences; all `train` without a split file."""
    camera = options.get("camera", "cam0")
    table = f"mav0/{camera}/data.csv"
    folders = sequence_folders(root, [*GROUND_TRUTH_FILES, table])
    if not folders:
        raise UserError(
            f"{root}: neither {GROUND_TRUTH_FILES[0]} nor {table} there or in a folder below; {NAME} reads {LAYOUT}"
        )
    sensors, frames = [], []
    for folder in folders:
        _check_camera(folder, camera)
        sensors.append(_camera_on_body(folder, camera, options, faults))
        bodies = pose_frames(
            _frames(folder, camera, "" if folder == root else f"{folder.name}/", faults),
            _trajectory(_ground_truth(folder), faults),
            folder / table,
            options,
            faults,
        )
        frames += [(frame, body @ sensors[-1].T_body_camera) for frame, body in bodies]
    cameras = {folder: sensor.intrinsics for folder, sensor in zip(folders, sensors, strict=True)}
    intrinsics = first_camera(cameras, faults)
    splits = {frame.name: "train" for frame, _ in frames}
    if split_file is not None:
        splits = labels.chosen_splits(root, split_file, splits.keys(), table, faults)
    image_files, images = ImageFiles(root, faults, labels.is_labels_only(options)), []
    for frame, pose in frames:
        if frame.name in splits and (path := image_files.find(frame.name, frame.where, frame.text)) is not None:
            sequence = Path(frame.name).parts[0] if folders != [root] else root.resolve().name
            stamp = frame.stamp_ns / NANOSECONDS
            images.append(PosedImage(frame.name, path, pose, splits[frame.name], sequence, stamp))
    offset_s = time_offset_s(options, root)
    return Scene(root.resolve().name, images, intrinsics=intrinsics, root=root, time_offset_s=offset_s)


def _check_camera(folder: Path, camera: str) -> None:
    known = sorted(path.parent.name for path in (folder / "mav0").glob("cam*/data.csv"))
    if camera not in known:
        raise UserError(f"{folder}: no camera {camera} in mav0, there are {', '.join(known) or 'none'}; write ,camera=")


def _ground_truth(folder: Path) -> Path:
    return next(
        (folder / name for name in GROUND_TRUTH_FILES if (folder / name).is_file()), folder / GROUND_TRUTH_FILES[0]
    )


def _camera_on_body(folder: Path, camera: str, options: dict[str, str], faults: Faults) -> Sensor:
    """By sensor.yaml, or else by a camchain.yaml of Kalibr's. UserError where there is neither."""
    path, chain = (
        folder / "mav0" / camera / "sensor.yaml",
        Path(options.get("camchain", folder / CAMCHAIN)).expanduser(),
    )
    if path.is_file() and "camchain" not in options:
        return read_sensor(path, faults)
    if not chain.is_file():
        raise UserError(
            f"{folder}: the camera is unknown: neither {path} nor {chain} is there; copy one there, or name Kalibr's "
            "file with ,camchain=FILE"
        )
    return _sensor(chain, sensor_of(chain, _read_yaml(chain), camera), f"{camera} of {chain.name}", faults)


def _frames(folder: Path, camera: str, prefix: str, faults: Faults) -> list[Frame]:
    frames = []
    path = folder / "mav0" / camera / "data.csv"
    for where, words in stamped_rows(path, "rows 'timestamp [ns],filename'", most=2):
        if len(words) != 2:
            faults.refuse(where, f"{len(words)} columns, a row is 'timestamp [ns],filename'")
        elif (stamp_ns := _stamp(where, words[0], faults)) is not None:
            frame = named_frame(words[1], stamp_ns, where, f"{prefix}mav0/{camera}/data", faults)
            frames += [frame] if frame else []
    return without_repeated(frames, path, faults)


def _trajectory(path: Path, faults: Faults) -> Trajectory:
    trajectory = Trajectory(path)
    reader, of_rows = PoseReader(trajectory.faults), trajectory.faults
    row = "'timestamp,p_x,p_y,p_z,q_w,q_x,q_y,q_z', further columns are ignored"
    for where, words in stamped_rows(path, f"rows {row}"):
        if len(words) < 8:
            of_rows.refuse(where, f"{len(words)} columns, a row is {row}")
            continue
        pose, stamp_ns = reader.from_quaternion(where, words[1:8]), _stamp(where, words[0], of_rows)
        if pose is not None and stamp_ns is not None:
            trajectory.add(where, stamp_ns, pose)
    trajectory.report(faults)
    return trajectory


def _stamp(where: str, text: str, faults: Faults) -> int | None:
    if text.isdecimal() and len(text) < 20 and int(text) < LARGEST_STAMP_NS:
        return int(text)
    faults.refuse(where, f"'{text}' is not a time stamp in whole nanoseconds")
    return None


def read_sensor(path: Path, faults: Faults) -> Sensor:
    """A camera's sensor.yaml. UserError where it does not describe a pinhole or fisheye camera."""
    return _sensor(path, _read_yaml(path), f"EuRoC {path.parent.name}/{path.name}", faults)


def _sensor(path: Path, content: dict[str, Any], source: str, faults: Faults) -> Sensor:
    try:
        width, height = (int(value) for value in content["resolution"])
        fx, fy, cx, cy = (float(value) for value in content["intrinsics"])
        T_44 = np.array(content["T_BS"]["data"], np.float64).reshape(4, 4)
        bent = tuple(float(value) for value in content["distortion_coefficients"])
        model, lens = str(content.get("camera_model", "pinhole")), str(content["distortion_model"])
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise UserError(
            f"{path}: not a camera ({error!r}); it has resolution [w, h], intrinsics [fx, fy, cx, cy], "
            "distortion_model, distortion_coefficients, and T_BS with 16 numbers in data"
        ) from None
    if model != "pinhole" or lens not in LENSES:
        allowed = f"allowed are pinhole with {', '.join(LENSES)}"
        raise UserError(f"{path}: camera_model '{model}' with distortion_model '{lens}'; {allowed}: convert it")
    if min(width, height, fx, fy) <= 0 or not np.isfinite([fx, fy, cx, cy, *bent]).all():
        raise UserError(f"{path}: {width}x{height}, intrinsics {fx, fy, cx, cy}; sizes and focal lengths are above 0")
    rotation = PoseReader(faults)
    T_body_camera = rotation.from_matrix(path, T_44)
    if T_body_camera is None:
        raise UserError(f"{faults.refused[-1]} (T_BS); fix the file")
    if unknown := sorted(map(str, content.keys() - KEYS)):
        faults.remark(path, f"keys {', '.join(unknown)} are not known and not used")
    camera = Intrinsics(width, height, fx, fy, cx, cy, source, None, LENSES[lens], bent)
    return Sensor(with_rectified_flag(path, camera), T_body_camera)


def _read_yaml(path: Path) -> dict[str, Any]:
    """OpenCV's dialect: the head `%YAML:1.0` and the tag !!opencv-matrix are not YAML."""
    lines = [line for line in read_lines(path, "a camera's sensor.yaml") if not line.startswith("%YAML")]
    try:
        content = parsed_yaml("\n".join(lines).replace("!!opencv-matrix", ""))
    except ValueError as error:
        raise UserError(f"{path}: not valid YAML ({error}); fix the file") from None
    if not isinstance(content, dict):
        raise UserError(f"{path}: a {type(content).__name__}, it must be 'key: value' lines")
    return content

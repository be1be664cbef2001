"""The camera of a transforms.json: shared by all frames, or written into each of them."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from transposenet_core.errors import UserError
from transposenet_core.formats.common_camera import alike, cameras_like
from transposenet_core.formats.faults import Faults
from transposenet_core.geometry.intrinsics import Intrinsics
from transposenet_core.image_files import image_size

# The file's camera_model -> ROS's lens model and the file's keys for its coefficients, in OpenCV's order.
LENSES: dict[str, tuple[str, tuple[str, ...]]] = {
    "OPENCV": ("plumb_bob", ("k1", "k2", "p1", "p2", "k3")),
    "OPENCV_FISHEYE": ("equidistant", ("k1", "k2", "k3", "k4")),
    "PINHOLE": ("none", ()),
    "SIMPLE_PINHOLE": ("none", ()),
}
COEFFICIENTS = ("k1", "k2", "k3", "k4", "p1", "p2")
KEYS = ("w", "h", "fl_x", "fl_y", "cx", "cy", "camera_angle_x", "camera_angle_y", *COEFFICIENTS)


def read_intrinsics(
    path: Path, content: dict[str, Any], frames: list[dict[str, Any]], files: list[Path], faults: Faults
) -> Intrinsics | None:
    """The camera of the frames; `files` are images that give the size where the camera has none.

    Frames whose cameras differ by up to 2 % (an autofocus) get the median one, with a remark. None, and a remark, where
    the file has no camera; UserError where frames differ by more, or it is not a camera.
    """
    model = str(content.get("camera_model") or "OPENCV")
    if model not in LENSES:
        raise UserError(f"{path}: camera_model '{model}', allowed are {', '.join(LENSES)}; undistort the images first")
    cameras = [_numbers(path, content | frame) for frame in frames]
    if not frames:
        return None  # each frame was refused, for reasons that are reported
    if not any("fl_x" in camera or "camera_angle_x" in camera for camera in cameras):
        faults.remark(path, "no camera: it has neither fl_x nor camera_angle_x, so the scene has no intrinsics")
        return None
    if files and not all("w" in camera and "h" in camera for camera in cameras):
        width, height = image_size(files)
        cameras = [{"w": width, "h": height} | camera for camera in cameras]
    figures_NK = np.array([_figures(path, camera, model) for camera in cameras])
    median = np.median(figures_NK, axis=0)
    apart = np.abs(figures_NK - median)
    if not alike(figures_NK, median).all():
        usual = frames[int(np.argmin(apart.sum(axis=1)))].get("file_path")
        low, high = figures_NK.min(axis=0).round(4).tolist(), figures_NK.max(axis=0).round(4).tolist()
        raise UserError(
            f"{path}: frames of different cameras: w, h, fl_x, fl_y, cx, cy and distortion from {low} to {high}; a "
            f"scene has one: choose the frames of one by the file_path of any of them, such as ,camera={usual}"
        )
    if apart.any():
        faults.remark(path, f"the frames' cameras differ by up to {apart.max():.3g} px; the median one is used")
    width, height, fx, fy, cx, cy, *bent = median.tolist()
    lens, _ = LENSES[model]
    source = f"{path.name} ({model})"
    rectified = not any(bent)
    lens, figures = ("none", ()) if rectified else (lens, tuple(bent))
    return Intrinsics(int(width), int(height), fx, fy, cx - 0.5, cy - 0.5, source, rectified, lens, figures)


def frames_with_camera(
    path: Path, content: dict[str, Any], frames: dict[str, dict[str, Any]], files: list[Path], chosen: str
) -> tuple[Intrinsics | None, set[str]]:
    """The camera of the frame `chosen`, and the frames whose cameras are within 2 % of it. UserError as above."""
    if files and not {"w", "h"} <= content.keys():
        content = content | dict(zip(("w", "h"), image_size(files), strict=True))
    cameras = {}
    for name, frame in frames.items():
        if (camera := read_intrinsics(path, content, [frame], [], Faults())) is not None:
            cameras[name] = camera
    reference = cameras.get(chosen)
    return reference, set(frames) if reference is None else cameras_like(cameras, reference)


def _numbers(path: Path, entry: dict[str, Any]) -> dict[str, float]:
    """The camera's keys that are present."""
    given = {key: entry[key] for key in KEYS if entry.get(key) is not None}
    try:
        numbers = {key: float(value) for key, value in given.items()}
    except (TypeError, ValueError, OverflowError) as error:
        raise UserError(f"{path}: {error} in the camera {given}; its values are numbers in pixels") from None
    if not all(map(math.isfinite, numbers.values())):
        raise UserError(f"{path}: the camera {given} has a number that is not finite; fix it")
    return numbers


def _figures(path: Path, camera: dict[str, float], model: str) -> list[float]:
    """w, h, fx, fy, cx, cy and the lens's coefficients. UserError."""
    if "w" not in camera or "h" not in camera:
        raise UserError(f"{path}: the camera has no w and h; write the images' size in pixels")
    width, height = camera["w"], camera["h"]
    fx = camera.get("fl_x") or _focal(width, camera.get("camera_angle_x"))
    fy = camera.get("fl_y") or _focal(height, camera.get("camera_angle_y")) or fx
    if not (fx and fx > 0 and fy and fy > 0 and width > 0 and height > 0):
        raise UserError(f"{path}: {camera} is not a camera; w, h and fl_x must be above 0")
    _, keys = LENSES[model]
    if strange := [key for key in COEFFICIENTS if key not in keys and camera.get(key)]:
        raise UserError(
            f"{path}: {', '.join(strange)} of the camera_model {model} are not supported, only "
            f"{', '.join(keys) or 'none'}; undistort the images first"
        )
    centre = camera.get("cx", width / 2), camera.get("cy", height / 2)
    return [width, height, fx, fy, *centre, *(camera.get(key, 0.0) for key in keys)]


def _focal(side: float, angle: float | None) -> float | None:
    return side / 2 / math.tan(angle / 2) if angle and 0 < angle < math.pi else None

"""Cameras in files: a 3x3 matrix as text, and the JSON of the layout `folder`."""

from __future__ import annotations

import math
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from transposenet_core import checked
from transposenet_core.errors import UserError
from transposenet_core.geometry.intrinsics import DISTORTION_MODELS, Intrinsics
from transposenet_core.geometry.lens_models import bears_distortion
from transposenet_core.geometry.pose import Pose
from transposenet_core.scene import DepthCamera
from transposenet_core.text_files import read_text, words

FIX_OR_COPY = "copy it there, or correct the path or its permissions"


def read_matrix(path: Path, rows: int, columns: int, what: str) -> np.ndarray:
    """A text file of `rows` x `columns` finite numbers. UserError that states `what` it should be."""
    try:
        lines = (line.partition("#")[0] for line in read_text(path).split("\n"))
        matrix = np.array([float(word) for line in lines for word in words(line)]).reshape(rows, columns)
    except OSError as error:
        raise UserError(f"{path}: the {what} cannot be read ({error.strerror}); {FIX_OR_COPY}") from None
    except ValueError as error:
        raise UserError(f"{path}: not a {what} ({error}); write {rows} lines of {columns} numbers") from None
    if not np.isfinite(matrix).all():
        raise UserError(f"{path}: a number that is not finite; a {what} is {rows} lines of {columns} numbers")
    return matrix


def read_camera_matrix(path: Path, width: int, height: int, scale: float = 1.0) -> Intrinsics:
    """The 3x3 camera matrix in `path`, in pixels, of a `width` x `height` image.

    `scale` is for an image of which only every 1/scale-th pixel was kept: with centres at whole numbers pixel u
    becomes u * scale. UserError where it is not a camera matrix.
    """
    K = read_matrix(path, 3, 3, "3x3 camera matrix in pixels")
    if K[0, 0] <= 0 or K[1, 1] <= 0 or not np.allclose(K[2], [0, 0, 1]):
        raise UserError(f"{path}: {K.tolist()} is not a camera matrix; write fx 0 cx, 0 fy cy, 0 0 1 in pixels")
    fx, fy, cx, cy = (float(K[i] * scale) for i in ((0, 0), (1, 1), (0, 2), (1, 2)))
    return Intrinsics(width, height, fx, fy, cx, cy, source=path.name)


def read_camera_json(path: Path) -> Intrinsics:
    """The fields of :class:`Intrinsics` in a JSON file. UserError where one is missing, unknown or wrong."""
    return _intrinsics(path, read_json(path))


def read_depth_camera_json(path: Path) -> DepthCamera:
    """The same with ``metres_per_unit`` and ``T_camera_depth`` (position in metres, orientation_wxyz). UserError."""
    content = read_json(path)
    units, T = content.pop("metres_per_unit", None), content.pop("T_camera_depth", None)
    try:
        pose = Pose(np.zeros(3), np.array([1, 0, 0, 0])) if T is None else Pose.from_dict(T)
        scale = float(units)  # type: ignore[arg-type]
    except (TypeError, ValueError, KeyError, OverflowError) as error:
        raise UserError(
            f"{path}: not a depth camera ({error!r}); it has metres_per_unit, a number, and T_camera_depth with "
            "position (3 numbers) and orientation_wxyz (4)"
        ) from None
    if not 0 < scale < math.inf:
        raise UserError(f"{path}: metres_per_unit is {units}, it must be a number above 0, such as 0.001")
    return DepthCamera(_intrinsics(path, content), scale, pose)


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object. UserError."""
    try:
        content = checked.parsed_json(read_text(path))
    except OSError as error:
        raise UserError(f"{path}: it cannot be read ({error.strerror}); {FIX_OR_COPY}") from None
    except ValueError as error:
        raise UserError(f"{path}: not valid JSON ({error}); fix or remove the file") from None
    if not isinstance(content, dict):
        raise UserError(f"{path}: a {type(content).__name__}, it must be a JSON object {{...}}")
    return content


def with_rectified_flag(path: Path, camera: Intrinsics) -> Intrinsics:
    """The camera of a file that describes its images' lens in full: without distortion in it they are rectified.

    UserError where the distortion fits no lens model.
    """
    try:
        bent = bears_distortion(camera)
    except UserError as error:
        raise UserError(f"{path}: {error}") from None
    lens, distortion = (camera.distortion_model, camera.distortion) if bent else ("none", ())
    return replace(camera, rectified=not bent, distortion_model=lens, distortion=distortion)


def _intrinsics(path: Path, content: dict[str, Any]) -> Intrinsics:
    names = [field.name for field in fields(Intrinsics)]
    needed = ["width", "height", "fx", "fy", "cx", "cy"]
    unknown = [key for key in content if key not in names]
    missing = [key for key in needed if key not in content]
    if unknown or missing:
        raise UserError(
            f"{path}: keys {', '.join(unknown) or 'none'} unknown, {', '.join(missing) or 'none'} missing; "
            f"a camera has {', '.join(names)}"
        )
    try:
        numbers = [float(content[key]) for key in needed]
        distortion = [float(value) for value in content.get("distortion", ())]
        camera = Intrinsics(**{"source": path.name, **content})
    except (TypeError, ValueError, OverflowError) as error:
        raise UserError(f"{path}: {error}; width, height, fx, fy, cx, cy are numbers, distortion a list") from None
    whole = all(isinstance(content[key], int) and content[key] > 0 for key in needed[:2])
    if not (np.isfinite(numbers + distortion).all() and whole and camera.fx > 0 and camera.fy > 0):
        raise UserError(
            f"{path}: {dict(zip(needed, numbers, strict=True))} is not a camera; sizes and focal lengths are > 0"
        )
    if camera.distortion_model not in DISTORTION_MODELS:
        raise UserError(
            f"{path}: distortion_model '{camera.distortion_model}', allowed are {', '.join(DISTORTION_MODELS)}"
        )
    if not (camera.rectified is None or isinstance(camera.rectified, bool)):  # "false" would be taken for true
        raise UserError(f"{path}: rectified is {camera.rectified!r}, allowed are true, false and null")
    try:
        bears_distortion(camera)
    except UserError as error:
        raise UserError(f"{path}: {error}") from None
    return camera

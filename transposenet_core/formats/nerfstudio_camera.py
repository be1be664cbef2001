"""The camera of a transforms.json: shared by all frames, or written into each of them.

nerfstudio names the lens by `camera_model`, Instant NGP by `is_fisheye`; their coefficients have the same keys. A key
that may be a lens's and is not known here is refused, any other one remarked on: what is passed over could be the lens.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from transposenet_core.errors import UserError
from transposenet_core.formats.camera_files import with_rectified_flag
from transposenet_core.formats.common_camera import best_camera, cameras_like, common_camera
from transposenet_core.formats.faults import Faults
from transposenet_core.geometry.intrinsics import Intrinsics
from transposenet_core.image_files import image_size

RADIAL_TANGENTIAL, FISHEYE = "OPENCV", "OPENCV_FISHEYE"
# The file's camera_model -> ROS's lens model and the file's keys for its coefficients, in OpenCV's order.
LENSES: dict[str, tuple[str, tuple[str, ...]]] = {
    RADIAL_TANGENTIAL: ("plumb_bob", ("k1", "k2", "p1", "p2", "k3")),
    FISHEYE: ("equidistant", ("k1", "k2", "k3", "k4")),
    "SIMPLE_RADIAL": ("plumb_bob", ("k1", "k2", "p1", "p2", "k3")),  # nerfstudio computes both as OPENCV
    "RADIAL": ("plumb_bob", ("k1", "k2", "p1", "p2", "k3")),
    "PINHOLE": ("none", ()),
    "SIMPLE_PINHOLE": ("none", ()),
}
COEFFICIENTS = ("k1", "k2", "k3", "k4", "p1", "p2")  # as nerfstudio's distortion_params has them
FOCALS = ("fl_x", "fl_y", "x_fov", "y_fov", "camera_angle_x", "camera_angle_y")  # pixels, degrees, radians
KEYS = ("w", "h", "cx", "cy", *FOCALS, *COEFFICIENTS)
# What else the two programs and their converters write, none of it about the camera.
OTHER_KEYS = {
    *("frames", "file_path", "transform_matrix", "train_filenames", "val_filenames", "test_filenames"),
    *("applied_transform", "applied_scale", "orientation_override", "auto_scale_poses_override"),
    *("ply_file_path", "mask_path", "depth_file_path", "colmap_im_id", "sharpness", "sharpness_discard_threshold"),
    *("aabb", "aabb_scale", "render_aabb", "scale", "offset", "up", "sharpen", "n_frames", "envmap", "from_mitsuba"),
    *("enable_ray_loading", "enable_depth_loading", "integer_depth_scale", "n_extra_learnable_dims"),
    *("white_transparent", "black_transparent", "fix_premult", "importance_sampling"),
}
KNOWN_KEYS = OTHER_KEYS | {*KEYS, "camera_model", "is_fisheye", "distortion_params"}
NO_LENS_KEYS = frozenset({"fisheye_crop_radius"})  # nerfstudio's mask
MAY_BE_A_LENS = re.compile(
    r"[kpsd]_?\d+|xi|.*(fisheye|disto|lens|project|theta|latlong|rectang|orthog|omni|skew|sk_[xy]|camera_?(model|type)).*",
    re.IGNORECASE,
)
SHOWN_KEYS = 8
NO_CAMERA = "no camera: it has neither fl_x nor camera_angle_x, so the scene has no intrinsics"


def read_intrinsics(
    path: Path, content: dict[str, Any], frames: Mapping[str, dict[str, Any]], files: list[Path], faults: Faults
) -> Intrinsics | None:
    """The camera of the frames; `files` are images that give the size where the camera has none.

    Frames whose cameras differ by up to 2 % (an autofocus) get the median one, with a remark. None, and a remark, where
    the file has no camera; UserError where frames differ by more, the camera is none, or a key may be of a lens that
    is not known.
    """
    _check_keys(path, content, list(frames.values()), faults)
    if not frames:
        return None  # each frame was refused, for reasons that are reported
    entries = {name: content | frame for name, frame in frames.items()}
    models = sorted({_model(path, entry) for entry in entries.values()})
    if not any(map(_has_focal, entries.values())):
        faults.remark(path, NO_CAMERA)
        return None
    if len(models) > 1:
        found = " and ".join(models)
        raise UserError(
            f"{path}: frames of different lenses: {found}; a scene has one: write a transforms.json for each"
        )
    first: dict[Intrinsics, str] = {}
    counts = Counter(first.setdefault(camera, name) for name, camera in _cameras(path, entries, files).items())
    cameras = {name: camera for camera, name in first.items()}
    if (common := common_camera(cameras, counts)) is None:
        best, kept = best_camera(cameras, counts)
        raise UserError(
            f"{path}: frames of {len(cameras)} different cameras; a scene has one: choose the frames of one by the "
            f"file_path of any of them, such as ,camera={frames[best].get('file_path')}, which uses {kept} of "
            f"{len(frames)} frames"
        )
    if common[1] > 0:
        faults.remark(path, f"the frames' cameras differ by up to {common[1]:.3g} px; the median one is used")
    return with_rectified_flag(path, common[0])


def _check_keys(path: Path, content: dict[str, Any], frames: list[dict[str, Any]], faults: Faults) -> None:
    entries = [content, *frames]
    unknown = sorted({key for entry in entries for key in entry} - KNOWN_KEYS)
    for key in unknown:
        value = next((entry[key] for entry in entries if _says_something(entry.get(key))), None)
        if value is not None and key not in NO_LENS_KEYS and MAY_BE_A_LENS.fullmatch(key):
            raise UserError(
                f"{path}: the key {key} ({value!r:.40}) may be of a lens that is not known; known are camera_model "
                f"({', '.join(LENSES)}) or is_fisheye with {', '.join(COEFFICIENTS)}: undistort the images first, or "
                "remove the key"
            )
    if unknown:
        more = ", ..." if len(unknown) > SHOWN_KEYS else ""
        faults.remark(path, f"keys that are not known and not used: {', '.join(unknown[:SHOWN_KEYS])}{more}")


def _says_something(value: Any) -> bool:
    """Whether a value is other than null, false, 0 or a list of these."""
    return any(map(_says_something, value)) if isinstance(value, list) else bool(value)


def _model(path: Path, entry: dict[str, Any]) -> str:
    """The camera_model of a frame. UserError for one that is not known, or that is_fisheye contradicts."""
    model, fisheye = entry.get("camera_model") or None, entry.get("is_fisheye")
    if fisheye not in (None, True, False):
        raise UserError(f"{path}: is_fisheye is {fisheye!r:.40}, allowed are true and false")
    if model is None:
        return FISHEYE if fisheye else RADIAL_TANGENTIAL
    if model not in list(LENSES):  # anything may stand there, a list too
        raise UserError(
            f"{path}: camera_model {model!r:.40}, known are {', '.join(LENSES)}; undistort the images first"
        )
    if fisheye is not None and bool(fisheye) != (model == FISHEYE):
        raise UserError(
            f"{path}: camera_model {model} and is_fisheye {str(bool(fisheye)).lower()} contradict each other; remove "
            "the wrong one"
        )
    return str(model)


def frames_with_camera(
    path: Path,
    content: dict[str, Any],
    frames: Mapping[str, dict[str, Any]],
    files: list[Path],
    chosen: str,
    faults: Faults,
) -> tuple[Intrinsics | None, set[str]]:
    """The camera of the frame `chosen`, and the frames whose cameras are within 2 % of it. UserError as above, but for
    other frames of a camera_model that is not known."""
    _check_keys(path, content, list(frames.values()), faults)
    entries = {name: content | frame for name, frame in frames.items()}
    _model(path, entries[chosen])
    if not _has_focal(entries[chosen]):
        faults.remark(path, NO_CAMERA)
        return None, set(frames)
    models = (None, "", *LENSES)
    known = {n: entry for n, entry in entries.items() if _has_focal(entry) and entry.get("camera_model") in models}
    cameras = _cameras(path, known, files)
    return with_rectified_flag(path, cameras[chosen]), cameras_like(cameras, cameras[chosen])


def _has_focal(entry: dict[str, Any]) -> bool:
    return any(entry.get(key) is not None for key in FOCALS)


def _cameras(path: Path, entries: dict[str, dict[str, Any]], files: list[Path]) -> dict[str, Intrinsics]:
    """The camera of each frame; `files` as above. UserError where one is no camera."""
    numbers = {name: _numbers(path, entry) for name, entry in entries.items()}
    size = {}
    if files and not all("w" in camera and "h" in camera for camera in numbers.values()):
        size = dict(zip(("w", "h"), image_size(files), strict=True))
    return {name: _camera(path, size | camera, _model(path, entries[name])) for name, camera in numbers.items()}


def _numbers(path: Path, entry: dict[str, Any]) -> dict[str, float]:
    """The camera's keys that are there, nerfstudio's list of coefficients among them."""
    listed = entry.get("distortion_params") or []
    if not isinstance(listed, list) or len(listed) not in (0, 4, len(COEFFICIENTS)):
        wanted = ", ".join(COEFFICIENTS)
        raise UserError(f"{path}: distortion_params {listed!r:.60}; it must be a list of {wanted}, or the first four")
    entry = entry | dict(zip(COEFFICIENTS, listed, strict=False))
    given = {key: entry[key] for key in KEYS if entry.get(key) is not None}
    try:
        numbers = {key: float(value) for key, value in given.items()}
    except (TypeError, ValueError, OverflowError) as error:
        raise UserError(f"{path}: {error} in the camera {given}; its values are numbers in pixels") from None
    if not all(map(math.isfinite, numbers.values())):
        raise UserError(f"{path}: the camera {given} has a number that is not finite; fix it")
    return numbers


def _camera(path: Path, camera: dict[str, float], model: str) -> Intrinsics:
    if "w" not in camera or "h" not in camera:
        raise UserError(f"{path}: the camera has no w and h; write the images' size in pixels")
    width, height = camera["w"], camera["h"]
    fx, fy = _focal(camera, "x", width), _focal(camera, "y", height)
    fx, fy = fx or fy, fy or fx
    if not (fx and fx > 0 and fy and fy > 0 and width > 0 and height > 0):
        raise UserError(f"{path}: {camera} is not a camera; w, h and fl_x must be above 0")
    lens, keys = LENSES[model]
    if strange := [key for key in COEFFICIENTS if key not in keys and camera.get(key)]:
        raise UserError(
            f"{path}: {', '.join(strange)} of the camera_model {model} are not supported, only "
            f"{', '.join(keys) or 'none'}; undistort the images first"
        )
    cx, cy = camera.get("cx", width / 2) - 0.5, camera.get("cy", height / 2) - 0.5
    distortion = tuple(camera.get(key, 0.0) for key in keys)
    source = f"{path.name} ({model})"
    return Intrinsics(int(width), int(height), fx, fy, cx, cy, source, None, lens, distortion)


def _focal(camera: dict[str, float], axis: str, side: float) -> float | None:
    """Pixels, by the length or by one of the two angles that a `side` of the image is seen under."""
    if length := camera.get(f"fl_{axis}"):
        return length
    degrees = camera.get(f"{axis}_fov")
    angle = math.radians(degrees) if degrees else camera.get(f"camera_angle_{axis}")
    return side / 2 / math.tan(angle / 2) if angle and 0 < angle < math.pi else None

"""COLMAP models, text or binary, read with pycolmap: cameras, images (and points3D, which is not used).

Convention: images hold world-to-camera transforms, quaternion w first, optical axes; they are inverted here. A model
made from images alone has no metric scale and an arbitrary frame unless it was geo-registered or aligned; `scale=`
says how many metres a unit has. COLMAP puts the centre of the upper left pixel at (0.5, 0.5), we at (0, 0): its
principal point moves by half a pixel. Images carry no time: the numbers in their names count `rate=`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from transposenet_core.errors import UserError
from transposenet_core.formats import labels
from transposenet_core.formats.declared_convention import T_CAMERA_MAP, PoseConvention
from transposenet_core.formats.faults import Faults
from transposenet_core.formats.labels import ImageFiles, natural_order
from transposenet_core.formats.numbers import RATE_MEANING, SCALE_MEANING, frame_rate, frame_stamps, metric_scale
from transposenet_core.formats.rows import MAP_TO_CAMERA, PoseReader, below
from transposenet_core.geometry.intrinsics import Intrinsics
from transposenet_core.geometry.pose import Pose
from transposenet_core.scene import PosedImage, Scene

NAME = "colmap"
LAYOUT = "cameras, images and points3D, .bin or .txt, in the folder, in sparse/0 or sparse; images in images/"
CONVENTION = "world-to-camera, inverted; optical axes; pixel centres moved by half; no metric scale of its own"
OPTIONS = {
    "camera": "ID of the camera whose images are taken; needed where the model has several that differ",
    "images": labels.IMAGES_MEANING.split(";")[0] + "; default: images/ in PATH",
    "scale": SCALE_MEANING,
    "rate": RATE_MEANING,
    labels.LABELS_ONLY: labels.LABELS_ONLY_MEANING,
}
MODELS = (".", "sparse/0", "sparse", "colmap/sparse/0")
USUAL_RATE_HZ = 30.0
SAME_CAMERA = 1e-6  # relative; COLMAP refines each camera on its own, so equal figures are one camera written twice
# model -> lens, and where its parameters have fx fy cx cy and the distortion in OpenCV's order (None: 0)
LENSES: dict[str, tuple[str, tuple[int, int, int, int], tuple[int | None, ...]]] = {
    "SIMPLE_PINHOLE": ("none", (0, 0, 1, 2), ()),
    "PINHOLE": ("none", (0, 1, 2, 3), ()),
    "SIMPLE_RADIAL": ("plumb_bob", (0, 0, 1, 2), (3, None, None, None, None)),
    "RADIAL": ("plumb_bob", (0, 0, 1, 2), (3, 4, None, None, None)),
    "OPENCV": ("plumb_bob", (0, 1, 2, 3), (4, 5, 6, 7, None)),
    "FULL_OPENCV": ("rational_polynomial", (0, 1, 2, 3), (4, 5, 6, 7, 8, 9, 10, 11)),
    "SIMPLE_RADIAL_FISHEYE": ("equidistant", (0, 0, 1, 2), (3, None, None, None)),
    "RADIAL_FISHEYE": ("equidistant", (0, 0, 1, 2), (3, 4, None, None)),
    "OPENCV_FISHEYE": ("equidistant", (0, 1, 2, 3), (4, 5, 6, 7)),
}


def recognises(path: Path) -> bool:
    return _model_folder(path) is not None


def pose_convention(options: dict[str, str], scene_name: str) -> PoseConvention:
    return T_CAMERA_MAP


def load(root: Path, split_file: Path | None, options: dict[str, str], faults: Faults) -> Scene:
    """The registered images of the model in `root`, all `train` where no split file says otherwise.

    UserError where pycolmap is not installed or cannot read the model, and where it has several cameras.
    """
    folder = _model_folder(root)
    if folder is None:
        raise UserError(f"{root}: no COLMAP model there; {NAME} reads {LAYOUT}")
    model = _read(folder)
    rate_hz, assumed_rate_hz = frame_rate(options, USUAL_RATE_HZ, root)
    scale, units = metric_scale(options, folder, "COLMAP models have no metric scale unless geo-registered", faults)
    posed = {image.name: image for image in model.images.values() if image.has_pose}
    if not posed:
        raise UserError(f"{folder}: the model has {model.num_images()} images and none is registered; map it again")
    camera_ids = _cameras(folder, model, posed, options)
    kept = {name: image for name, image in posed.items() if image.camera_id in camera_ids}
    splits = dict.fromkeys(sorted(kept, key=natural_order), "train")
    stamps = frame_stamps(list(splits), rate_hz)
    if split_file is not None:
        splits = labels.chosen_splits(root, split_file, splits.keys(), f"{folder}", faults)
    place = Path(options["images"]).expanduser() if "images" in options else root / "images"
    image_files, reader = ImageFiles(place, faults, labels.is_labels_only(options)), PoseReader(faults)
    images = []
    for name, split in splits.items():
        where = f"{folder} image {name}"
        pose = _pose(where, kept[name], scale, reader)
        if not below(name):
            faults.refuse(where, "the image is not below the folder of the images")
        elif (path := image_files.find(name, folder)) is not None and pose is not None:
            images.append(PosedImage(name, path, pose, split, str(Path(name).parent), stamps[name]))
    images.sort(key=lambda image: natural_order(image.name))
    intrinsics = _intrinsics(folder, model.cameras[min(camera_ids)])
    name = root.resolve().name
    return Scene(name, images, intrinsics=intrinsics, root=root, units=units, assumed_rate_hz=assumed_rate_hz)


def _model_folder(root: Path) -> Path | None:
    folders = (root / name for name in MODELS)
    return next((f for f in folders for end in ("bin", "txt") if (f / f"images.{end}").is_file()), None)


def _read(folder: Path) -> Any:
    """A pycolmap.Reconstruction."""
    try:
        import pycolmap
    except ImportError as error:
        raise UserError(
            f"{folder}: COLMAP models need pycolmap ({error}); pip install pycolmap, or 'transposenet_ros[colmap]'"
        ) from None
    try:
        return pycolmap.Reconstruction(str(folder))
    except (ValueError, LookupError, RuntimeError, MemoryError) as error:
        reason = " ".join(str(error).split())
        raise UserError(
            f"{folder}: pycolmap cannot read the model ({reason}); it has cameras, images and points3D, all .bin or "
            "all .txt: copy it again"
        ) from None


def _pose(where: str, image: Any, scale: float, reader: PoseReader) -> Pose | None:
    """``T_map_camera`` in metres."""
    T_camera_map = image.cam_from_world
    T_camera_map = T_camera_map() if callable(T_camera_map) else T_camera_map  # an attribute before pycolmap 3.12
    T_44 = np.vstack([T_camera_map.matrix(), [0, 0, 0, 1]])
    T_44[:3, 3] *= scale
    return reader.from_matrix(where, T_44, MAP_TO_CAMERA)


def _cameras(folder: Path, model: Any, images: dict[str, Any], options: dict[str, str]) -> set[int]:
    """The camera that is asked for, or all of those that have images where they are the same."""
    counts: dict[int, int] = {}
    for image in images.values():
        counts[image.camera_id] = counts.get(image.camera_id, 0) + 1
    found = ", ".join(f"{number} ({count} images)" for number, count in sorted(counts.items())[:8])
    found += ", ..." if len(counts) > 8 else ""
    if "camera" in options:
        text = options["camera"]
        if not text.isdecimal() or int(text) not in counts:
            raise UserError(f"{folder}: camera={text} has no images in the model; its cameras: {found}")
        return {int(text)}
    first, *others = (model.cameras[number] for number in sorted(counts))
    if not all(_same(first, other) for other in others):
        raise UserError(
            f"{folder}: the model has {len(counts)} cameras that differ: {found}; a scene has one: choose it with "
            ",camera=ID, or map images of one camera with COLMAP's option ImageReader.single_camera"
        )
    return set(counts)


def _same(a: Any, b: Any) -> bool:
    kinds = (a.model_name, a.width, a.height), (b.model_name, b.width, b.height)
    return kinds[0] == kinds[1] and np.allclose(a.params, b.params, rtol=SAME_CAMERA, atol=0)


def _intrinsics(folder: Path, camera: Any) -> Intrinsics:
    if camera.model_name not in LENSES:
        known = ", ".join(LENSES)
        raise UserError(
            f"{folder}: the camera {camera.camera_id} has the model {camera.model_name}; known are {known}: let "
            "COLMAP's image_undistorter make pinhole images and a model of them"
        )
    lens, places, bent = LENSES[camera.model_name]
    fx, fy, cx, cy = (float(camera.params[i]) for i in places)
    distortion = tuple(0.0 if i is None else float(camera.params[i]) for i in bent)
    source = f"COLMAP {camera.model_name} camera {camera.camera_id}"
    size = int(camera.width), int(camera.height)
    return Intrinsics(*size, fx, fy, cx - 0.5, cy - 0.5, source, not any(distortion), lens, distortion)

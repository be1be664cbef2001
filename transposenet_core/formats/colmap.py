"""COLMAP models, text or binary, read with pycolmap: cameras, images (and points3D, which is not used).

Convention: images hold world-to-camera transforms, quaternion w first, optical axes; they are inverted here. A model
made from images alone has no metric scale and an arbitrary frame unless it was geo-registered or aligned; `scale=`
gives the metres per unit. COLMAP puts the centre of the upper left pixel at (0.5, 0.5), we at (0, 0): its
principal point moves by half a pixel. Images have no time: the numbers in their names count frames at `rate=`.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np

from transposenet_core.errors import UserError
from transposenet_core.formats import labels
from transposenet_core.formats.camera_files import with_rectified_flag
from transposenet_core.formats.colmap_model import Camera, ColmapModel, Image, read_model
from transposenet_core.formats.common_camera import SAME_CAMERA, best_camera, cameras_like, common_camera
from transposenet_core.formats.declared_convention import T_CAMERA_MAP, PoseConvention
from transposenet_core.formats.faults import Faults
from transposenet_core.formats.labels import ImageFiles, natural_order
from transposenet_core.formats.numbers import RATE_MEANING, SCALE_MEANING, frame_rate, frame_stamps, metric_scale
from transposenet_core.formats.rows import MAP_TO_CAMERA, PoseReader, below
from transposenet_core.geometry.intrinsics import Intrinsics
from transposenet_core.geometry.pose import Pose
from transposenet_core.image_files import posix_name
from transposenet_core.scene import PosedImage, Scene

NAME = "colmap"
LAYOUT = "cameras, images and points3D, .bin or .txt, in the folder, in sparse/0 or sparse; images in images/"
CONVENTION = "world-to-camera, inverted; optical axes; pixel centres moved by half; no metric scale of its own"
OPTIONS = {
    "camera": "ID of the camera whose images are used, with cameras within 2 % of it; required where they differ more",
    "images": labels.IMAGES_MEANING.split("; default")[0] + "; default: images/ in PATH",
    "scale": SCALE_MEANING,
    "rate": RATE_MEANING,
    labels.LABELS_ONLY: labels.LABELS_ONLY_MEANING,
}
MODELS = (".", "sparse/0", "sparse", "colmap/sparse/0")
USUAL_RATE_HZ = 30.0
SHOWN_CAMERAS = 8
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
    """The registered images of the model in `root`, all `train` without a split file.

    UserError where pycolmap is not installed or cannot read the model, or it has several cameras.
    """
    folder = _model_folder(root)
    if folder is None:
        raise UserError(f"{root}: no COLMAP model found there; {NAME} reads {LAYOUT}")
    model = read_model(folder)
    rate_hz, assumed_rate_hz = frame_rate(options, USUAL_RATE_HZ, root)
    scale, units = metric_scale(options, folder, "COLMAP models have no metric scale unless geo-registered", faults)
    posed = {posix_name(image.name): image for image in model.images}
    if not posed:
        raise UserError(f"{folder}: none of the model's {model.count} images is registered; map them again")
    camera_ids, intrinsics = _cameras(folder, model, posed, options, faults)
    kept = {name: image for name, image in posed.items() if image.camera_id in camera_ids}
    splits = dict.fromkeys(sorted(kept, key=natural_order), "train")
    stamps = frame_stamps(list(splits), rate_hz)
    if split_file is not None:
        splits = labels.chosen_splits(root, split_file, splits.keys(), f"{folder}", faults)
    place = labels.images_folder(options, root / "images")
    image_files, reader = ImageFiles(place, faults, labels.is_labels_only(options)), PoseReader(faults)
    images = []
    for name, split in splits.items():
        where = f"{folder} image {name}"
        pose = _pose(where, kept[name], scale, reader)
        if not below(name):
            faults.refuse(where, "the image is not below the folder of the images")
        elif (path := image_files.find(name, folder, kept[name].name)) is not None and pose is not None:
            images.append(PosedImage(name, path, pose, split, str(Path(name).parent), stamps[name]))
    images.sort(key=lambda image: natural_order(image.name))
    name = root.resolve().name
    return Scene(name, images, intrinsics=intrinsics, root=root, units=units, assumed_rate_hz=assumed_rate_hz)


def _model_folder(root: Path) -> Path | None:
    folders = (root / name for name in MODELS)
    return next((f for f in folders for end in ("bin", "txt") if (f / f"images.{end}").is_file()), None)


def _pose(where: str, image: Image, scale: float, reader: PoseReader) -> Pose | None:
    """``T_map_camera`` in metres."""
    T_44 = np.vstack([image.T_camera_map_34, [0, 0, 0, 1]])
    T_44[:3, 3] *= scale
    return reader.from_matrix(where, T_44, MAP_TO_CAMERA)


def _cameras(
    folder: Path, model: ColmapModel, images: dict[str, Image], options: dict[str, str], faults: Faults
) -> tuple[set[int], Intrinsics]:
    """The requested camera and those like it, or all cameras with images where they are alike; their intrinsics."""
    counts = Counter(image.camera_id for image in images.values())
    if "camera" in options:
        text = options["camera"]
        if not text.isdecimal() or int(text) not in counts:
            raise UserError(f"{folder}: camera={text} has no images in the model; its cameras: {_listed(counts)}")
        reference = _intrinsics(folder, model.cameras[int(text)])
        known = {number: model.cameras[number] for number in counts if model.cameras[number].model_name in LENSES}
        chosen = cameras_like({number: _intrinsics(folder, camera) for number, camera in known.items()}, reference)
        if left := sum(counts[number] for number in counts if number not in chosen):
            faults.remark(
                folder, f"{left} images of {len(counts) - len(chosen)} other cameras are left out (camera={text})"
            )
        return chosen, reference
    cameras = {number: _intrinsics(folder, model.cameras[number]) for number in sorted(counts)}
    if (common := common_camera(cameras, counts)) is None:
        best, kept = best_camera(cameras, counts)
        raise UserError(
            f"{folder}: the model has {len(counts)} cameras that differ: {_listed(counts)}; a scene has one: choose it "
            f"with ,camera=ID, which leaves out images of cameras more than {SAME_CAMERA:.0%} from it (,camera={best} "
            f"uses {kept} of {len(images)} images), or map all images with COLMAP's option ImageReader.single_camera"
        )
    if common[1] > 0:
        faults.remark(folder, f"{len(cameras)} cameras differ by up to {common[1]:.3g} px; the median one is used")
    return set(counts), common[0]


def _listed(counts: Counter[int]) -> str:
    found = ", ".join(f"{number} ({count} images)" for number, count in counts.most_common(SHOWN_CAMERAS))
    return found + (f" and {len(counts) - SHOWN_CAMERAS} more" if len(counts) > SHOWN_CAMERAS else "")


def _intrinsics(folder: Path, camera: Camera) -> Intrinsics:
    if camera.model_name not in LENSES:
        known = ", ".join(LENSES)
        raise UserError(
            f"{folder}: the camera {camera.camera_id} has the model {camera.model_name}; supported are {known}: let "
            "COLMAP's image_undistorter make pinhole images and a model of them"
        )
    lens, places, bent = LENSES[camera.model_name]
    fx, fy, cx, cy = (float(camera.params[i]) for i in places)
    distortion = tuple(0.0 if i is None else float(camera.params[i]) for i in bent)
    source = f"COLMAP {camera.model_name} camera {camera.camera_id}"
    if not (min(camera.width, camera.height, fx, fy) > 0 and np.isfinite([fx, fy, cx, cy, *distortion]).all()):
        raise UserError(
            f"{folder}: {source} is {camera.width}x{camera.height} {camera.params}; fix it, sizes are above 0"
        )
    size = camera.width, camera.height
    found = Intrinsics(*size, fx, fy, cx - 0.5, cy - 0.5, source, None, lens, distortion)
    return with_rectified_flag(folder, found)

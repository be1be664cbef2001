"""Writes the layout `folder` (read by folder.py): images, poses.csv, camera.json, dataset.json, in one folder.

Nothing is lost: positions and quaternions are written with all digits of a float64, stamps as whole nanoseconds,
images as PNG or as the given bytes. The folder appears whole or not at all.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from fractions import Fraction
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from transposenet_core.atomic_files import write_folder_atomically
from transposenet_core.errors import UserError
from transposenet_core.geometry.intrinsics import Intrinsics
from transposenet_core.geometry.pose import Pose
from transposenet_core.image_files import image_stem, image_suffix
from transposenet_core.scene import UNITS, DepthCamera, PosedImage, Scene

POSES, CAMERA, DATASET, DEPTH_CAMERA = "poses.csv", "camera.json", "dataset.json", "depth_camera.json"
COLUMNS = ["image", "stamp_ns", "x", "y", "z", "qw", "qx", "qy", "qz", "split", "sequence"]
NANOSECONDS = 10**9
MOUNT = "T_pose_camera"  # in dataset.json, where the poses are not the camera's own
UPPER = np.triu_indices(6)  # of a symmetric matrix, row by row: 21 numbers


class FolderWriter:
    """Takes the images of a scene one at a time; made by :func:`folder_dataset`, which writes the rest at its end.

    ``images`` are the frames so far, all `train`; :meth:`set_splits` changes that. The attributes may be set until
    the end: a camera is often known with the first message only. ``about`` is kept in dataset.json for people to read.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self.folder, self.name, self.map_frame, self.units = folder, name, "map", UNITS[0]
        self.assumed_rate_hz: float | None = None
        self.intrinsics: Intrinsics | None = None
        self.depth_camera: DepthCamera | None = None
        self.T_pose_camera: Pose | None = None
        self.about: dict[str, Any] = {}
        self.images: list[PosedImage] = []
        self._numbers: dict[str, int] = {}
        self._stamps_ns: dict[str, int] = {}
        self._splits: dict[str, str] | None = None

    def add(
        self,
        name: str,
        content: np.ndarray | bytes,
        pose: Pose,
        stamp_ns: int,
        sequence: str = "seq-01",
        depth: np.ndarray | bytes | None = None,
        covariance_66: np.ndarray | None = None,
    ) -> PosedImage:
        """Write one frame: `content` (H, W, 3) uint8 RGB, or the bytes of a file as `name` ends; `pose` T_map_camera.

        `depth` is (H, W) uint16 in the units of ``depth_camera``, or a PNG's bytes. ValueError for a name that is not
        a new one below the folder; OSError where the disk is full.
        """
        below = PurePosixPath(name)
        if below.is_absolute() or ".." in below.parts or name in self._stamps_ns:
            raise ValueError(f"{name}: an image's name is a new path below the folder")
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else encode(content[..., ::-1], path.suffix))
        stamp = stamp_ns / NANOSECONDS
        self.images.append(PosedImage(name, path, pose, "train", sequence, stamp, covariance_66=covariance_66))
        self._numbers[name] = len(self.images) - 1
        self._stamps_ns[name] = int(stamp_ns)
        if depth is not None:
            self.add_depth(name, depth)
        return self.images[-1]

    def add_depth(self, name: str, depth: np.ndarray | bytes) -> None:
        """The depth of the frame `name`, which was added before, as in :meth:`add`."""
        number = self._numbers[name]
        image = self.images[number].path
        path = image.with_name(f"{image_stem(image.name)}.depth.png")
        path.write_bytes(depth if isinstance(depth, bytes) else encode(depth, ".png"))
        self.images[number] = replace(self.images[number], depth_path=path)

    def set_splits(self, images: Iterable[PosedImage]) -> None:
        """Frames get the split that `images` say; those left out of it stay in the folder and are not used."""
        self._splits = {image.name: image.split for image in images}

    def write_tables(self) -> None:
        """poses.csv and the JSON files, from what is known now."""
        depths = any(image.depth_path for image in self.images)
        covariances = any(image.covariance_66 is not None for image in self.images)
        with open(self.folder / POSES, "w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(COLUMNS + ["depth"] * depths + ["covariance"] * covariances)
            for image in self.images:
                split = image.split if self._splits is None else self._splits.get(image.name, "")
                numbers = [repr(float(value)) for value in (*image.pose.position, *image.pose.orientation)]
                row = [image.name, self._stamps_ns[image.name], *numbers, split, image.sequence]
                depth = image.depth_path.relative_to(self.folder).as_posix() if image.depth_path else ""
                covariance = ""
                if image.covariance_66 is not None:
                    covariance = " ".join(repr(float(value)) for value in np.asarray(image.covariance_66)[UPPER])
                writer.writerow(row + [depth] * depths + [covariance] * covariances)
        content: dict[str, Any] = {"name": self.name, "map_frame": self.map_frame, "units": self.units, **self.about}
        if self.assumed_rate_hz is not None:
            content["assumed_rate_hz"] = self.assumed_rate_hz
        if self.T_pose_camera is not None:
            content[MOUNT] = self.T_pose_camera.to_dict()
        self._write_json(DATASET, content)
        if self.intrinsics is not None:
            self._write_json(CAMERA, self.intrinsics.to_dict())
        if self.depth_camera is not None:
            self._write_json(
                DEPTH_CAMERA,
                self.depth_camera.intrinsics.to_dict()
                | {"metres_per_unit": self.depth_camera.metres_per_unit}
                | {"T_camera_depth": self.depth_camera.T_camera_depth.to_dict()},
            )

    def _write_json(self, name: str, content: dict[str, Any]) -> None:
        (self.folder / name).write_text(json.dumps(content, indent=1) + "\n")


def check_free(path: Path, overwrite: bool) -> None:
    """UserError where `path` exists and must not be overwritten, as only data sets ever are, or has no name."""
    if path.name in ("", ".."):
        raise UserError(f"{path}: a data set is written to a folder of its own; give the folder's name")
    if path.exists() and not (path.is_dir() and (not any(path.iterdir()) or (overwrite and (path / POSES).is_file()))):
        how = "name another folder, or add --overwrite" if (path / POSES).is_file() else "name another folder"
        raise UserError(f"{path}: already exists; {how}")


@contextmanager
def folder_dataset(path: str | Path, name: str | None = None, overwrite: bool = False) -> Iterator[FolderWriter]:
    """A :class:`FolderWriter` whose folder becomes `path` when the block ends without an error.

    UserError where `path` exists and must not be overwritten, or where the disk is full.
    """
    path = Path(path)
    check_free(path, overwrite)
    try:
        with write_folder_atomically(path) as temporary:
            writer = FolderWriter(temporary, name or path.resolve().name)
            yield writer
            writer.write_tables()
    except OSError as error:
        raise UserError(f"{path}: the data set cannot be written ({error}); make room or name another folder") from None


def write_folder_dataset(
    path: str | Path,
    scene: Scene,
    contents: Iterable[np.ndarray | bytes] | None = None,
    stamps_ns: Sequence[int] | None = None,
    overwrite: bool = False,
) -> None:
    """Write `scene` with `contents` in the order of its images; without them its files are copied.

    Images are read one at a time. Stamps are the scene's, to the nanosecond, where `stamps_ns` is left out; depth
    images are copied. Names of arrays must end in .png (lossless) or .jpg. UserError as in :func:`folder_dataset`.
    """
    path, images = Path(path), scene.images
    stamps = stamps_ns if stamps_ns is not None else [round(Fraction(i.stamp) * NANOSECONDS) for i in images]
    files = contents if contents is not None else (image.path.read_bytes() for image in images)
    with folder_dataset(path, scene.name, overwrite) as writer:
        writer.map_frame, writer.units = scene.map_frame, scene.units
        writer.assumed_rate_hz = None if stamps_ns is not None else scene.assumed_rate_hz
        writer.intrinsics, writer.depth_camera = scene.intrinsics, scene.depth_camera
        writer.T_pose_camera = scene.T_pose_camera
        for image, content, stamp_ns in zip(images, files, stamps, strict=True):
            copied = f"{image_stem(image.name)}{image_suffix(image.path.name)}"
            name = image.name if contents is not None else copied
            depth = image.depth_path.read_bytes() if image.depth_path else None
            writer.add(name, content, image.pose, stamp_ns, image.sequence, depth, image.covariance_66)
        writer.set_splits([replace(new, split=old.split) for new, old in zip(writer.images, images, strict=True)])


def encode(image: np.ndarray, suffix: str) -> bytes:
    """(H, W, 3) uint8 BGR or (H, W) uint16 as the bytes of an image file. ValueError for another array or suffix."""
    if suffix not in (".png", ".jpg") or image.dtype not in (np.uint8, np.uint16):
        raise ValueError(f"{image.dtype} images cannot be written as '{suffix}'")
    import cv2  # only where an image is encoded: a command's help needs the formats and no OpenCV

    quality = [cv2.IMWRITE_PNG_COMPRESSION, 3] if suffix == ".png" else [cv2.IMWRITE_JPEG_QUALITY, 95]
    return cv2.imencode(suffix, np.ascontiguousarray(image), quality)[1].tobytes()

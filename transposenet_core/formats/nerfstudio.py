"""nerfstudio's transforms.json (Instant NGP's, too): a frame per image with its pose, one camera.

Convention: `transform_matrix` is camera-to-world with OpenGL's camera axes (x right, y up, z back): y and z are turned
round here. `applied_transform` (3x4 or 4x4) and `applied_scale` are what nerfstudio's converters did to the poses of
the recording, p' = scale * (A p): they are undone, so that the map is the recording's frame and unit, as an adapter of
the source would give it. The file says nothing of its unit: `scale=` does. Pixel centres are at 0.5 (nerfstudio's rays,
and COLMAP's figures, which it copies), so the principal point moves by half a pixel.
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from transposenet_core.errors import UserError
from transposenet_core.formats import labels
from transposenet_core.formats.camera_files import read_json
from transposenet_core.formats.declared_convention import PoseConvention
from transposenet_core.formats.faults import Faults
from transposenet_core.formats.labels import ImageFiles, Row, natural_order
from transposenet_core.formats.nerfstudio_camera import read_intrinsics
from transposenet_core.formats.numbers import RATE_MEANING, SCALE_MEANING, frame_rate, frame_stamps, metric_scale
from transposenet_core.formats.rows import PoseReader
from transposenet_core.image_files import is_file
from transposenet_core.scene import PosedImage, Scene

NAME = "nerfstudio"
LAYOUT = "transforms.json (frames with file_path and transform_matrix; fl_x, fl_y, cx, cy, w, h) beside its images"
CONVENTION = "camera-to-world 4x4, OpenGL camera axes (x right, y up, z back); applied_transform and _scale undone"
OPTIONS = {
    "scale": SCALE_MEANING,
    "rate": RATE_MEANING,
    labels.LABELS_ONLY: labels.LABELS_ONLY_MEANING,
}
FILE = "transforms.json"
LISTS = {"train_filenames": "train", "val_filenames": "val", "test_filenames": "test"}
OPTICAL_FROM_OPENGL = np.diag([1.0, -1.0, -1.0, 1.0])
SUFFIXES = (".png", ".jpg")
USUAL_RATE_HZ = 30.0


def recognises(path: Path) -> bool:
    return (path / FILE).is_file()


def pose_convention(options: dict[str, str], scene_name: str) -> PoseConvention:
    return PoseConvention(axes="OpenGL")


def load(root: Path, split_file: Path | None, options: dict[str, str], faults: Faults) -> Scene:
    """The scene in the folder `root`; all `train` where neither the file's lists nor a split file say otherwise.

    Frames that the file's lists leave out are not used. UserError where the file is none, or has several cameras.
    """
    path = root / FILE
    content = read_json(path)
    rate_hz, assumed_rate_hz = frame_rate(options, USUAL_RATE_HZ, path)
    scale, units = metric_scale(options, path, "the file says no unit, and poses from COLMAP have none", faults)
    frames = _frames(root, content, faults)
    splits = {name: "train" for name in frames}
    if split_file is not None:
        splits = labels.chosen_splits(root, split_file, frames.keys(), FILE, faults)
    elif any(key in content for key in LISTS):
        splits = _listed(root, content, frames, faults)
    undone = _Undone(path, content, scale)
    image_files, reader = ImageFiles(root, faults, labels.is_labels_only(options)), PoseReader(faults)
    stamps = frame_stamps(sorted(frames, key=natural_order), rate_hz)
    images = []
    for name, split in splits.items():
        where, frame = frames[name]
        T_44, image = _matrix(where, frame, faults), image_files.find(name, where)
        pose = None if T_44 is None else reader.from_matrix(where, undone(T_44) @ OPTICAL_FROM_OPENGL)
        if pose is not None and image is not None:
            sequence = str(PurePosixPath(name).parent)
            images.append(PosedImage(name, image, pose, split, sequence, stamps[name]))
    reader.remark_on_mended(path)
    images.sort(key=lambda image: natural_order(image.name))
    files = [] if image_files.labels_only else [image.path for image in images]
    intrinsics = read_intrinsics(path, content, [frame for _, frame in frames.values()], files, faults)
    name = root.resolve().name
    return Scene(name, images, intrinsics=intrinsics, root=root, units=units, assumed_rate_hz=assumed_rate_hz)


class _Undone:
    """Turns a file's camera-to-world matrix into that of the recording, with positions in metres."""

    def __init__(self, path: Path, content: dict[str, Any], metres_per_unit: float) -> None:
        applied = content.get("applied_transform", np.eye(4).tolist())
        scale = content.get("applied_scale", 1.0)
        try:
            A_44 = square(applied)
        except ValueError as error:
            raise UserError(f"{path}: applied_transform is no 3x4 or 4x4 matrix ({error}); mend or remove it") from None
        R = A_44[:3, :3]
        if not (np.isfinite(A_44).all() and np.allclose(R @ R.T, np.eye(3), atol=1e-4) and np.linalg.det(R) > 0):
            raise UserError(f"{path}: applied_transform {A_44[:3].tolist()} is no rotation with a shift; mend it")
        if not (isinstance(scale, (int, float)) and 0 < scale < float("inf")):
            raise UserError(f"{path}: applied_scale is {scale}, it must be a number above 0; mend or remove it")
        self._A_44, self._shrunk, self._metres = A_44, float(scale), metres_per_unit

    def __call__(self, T_44: np.ndarray) -> np.ndarray:
        T_44 = T_44.copy()
        T_44[:3, 3] /= self._shrunk
        T_44 = np.linalg.inv(self._A_44) @ T_44
        T_44[:3, 3] *= self._metres
        return T_44


def square(matrix: Any) -> np.ndarray:
    """Rows of a 3x4 or 4x4 matrix as 4x4. ValueError."""
    try:
        T = np.array(matrix, np.float64)
    except (TypeError, OverflowError) as error:
        raise ValueError(error) from None
    if T.shape not in ((3, 4), (4, 4)):
        raise ValueError(f"shape {T.shape}")
    return T if len(T) == 4 else np.vstack([T, [0, 0, 0, 1]])


def _matrix(where: str, frame: dict[str, Any], faults: Faults) -> np.ndarray | None:
    try:
        return square(frame.get("transform_matrix"))
    except ValueError as error:
        faults.refuse(where, f"transform_matrix is no 4x4 matrix ({error})")
        return None


def _frames(root: Path, content: dict[str, Any], faults: Faults) -> dict[str, tuple[str, dict[str, Any]]]:
    """Where each frame stands, and its entry, by its image's name."""
    path, given = root / FILE, content.get("frames")
    if not isinstance(given, list) or not given:
        raise UserError(f"{path}: it has no frames; {NAME} reads {LAYOUT}")
    entries, rows = {}, []
    for index, frame in enumerate(given):
        where = f"{path} frames[{index}]"
        if not isinstance(frame, dict) or not isinstance(frame.get("file_path"), str):
            faults.refuse(where, "no frame: it has file_path and transform_matrix")
            continue
        name = _image_name(root, frame["file_path"])
        entries[where] = frame
        rows.append(Row(name, "train", where, []))
    return {name: (row.where, entries[row.where]) for name, row in labels.by_name(rows, faults).items()}


def _image_name(root: Path, file_path: str) -> str:
    """The name with a suffix: some files leave it out."""
    name = str(PurePosixPath(file_path))
    if PurePosixPath(name).suffix:
        return name
    found = (f"{name}{suffix}" for suffix in SUFFIXES if is_file(root / f"{name}{suffix}"))
    return next(found, f"{name}{SUFFIXES[0]}")


def _listed(
    root: Path, content: dict[str, Any], frames: dict[str, tuple[str, dict[str, Any]]], faults: Faults
) -> dict[str, str]:
    """The split by the file's own lists. A name without a frame, or in two lists, is a fault."""
    path = root / FILE
    splits: dict[str, str] = {}
    for key, split in LISTS.items():
        names = content.get(key) or []
        if not isinstance(names, list):
            raise UserError(f"{path}: {key} is {names!r:.80}, it must be a list of the frames' file_path")
        for given in names:
            name = _image_name(root, str(given))
            if name not in frames:
                faults.refuse(path, f"{key} names {given}, which is no frame")
            elif splits.setdefault(name, split) != split:
                faults.refuse(path, f"{key} names {given}, which is in {splits[name]}_filenames already")
    if len(splits) < len(frames):
        faults.remark(path, f"{len(frames) - len(splits)} frames stand in none of its lists and are not used")
    return splits

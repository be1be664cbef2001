"""nerfstudio's transforms.json (Instant NGP's, too): a frame per image with its pose, one camera.

Convention: `transform_matrix` is camera-to-world with OpenGL's camera axes (x right, y up, z back): y and z are negated
here. `applied_transform` (3x4 or 4x4) and `applied_scale` are what nerfstudio's converters applied to the poses of
the recording, p' = scale * (A p): they are undone, so that the map is the recording's frame and unit, as an adapter of
the source would give it. The file has no unit: `scale=` gives it. Pixel centres are at 0.5 (nerfstudio's rays,
and COLMAP's figures, which it copies), so the principal point moves by half a pixel.
"""

from __future__ import annotations

import json
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import numpy as np

from transposenet_core.errors import UserError
from transposenet_core.formats import labels
from transposenet_core.formats.camera_files import read_json
from transposenet_core.formats.declared_convention import PoseConvention
from transposenet_core.formats.faults import Faults
from transposenet_core.formats.labels import ImageFiles, Row, natural_order
from transposenet_core.formats.nerfstudio_camera import frames_with_camera, read_intrinsics
from transposenet_core.formats.numbers import RATE_MEANING, SCALE_MEANING, frame_rate, frame_stamps, metric_scale
from transposenet_core.formats.rows import PoseReader, below
from transposenet_core.image_files import find_image, image_suffix, posix_name
from transposenet_core.scene import SPLITS, PosedImage, Scene

NAME = "nerfstudio"
LAYOUT = (
    "transforms.json (frames with file_path and transform_matrix; fl_x, fl_y, cx, cy, w, h) beside its images, or "
    "transforms_train.json, transforms_val.json and transforms_test.json, which are the split"
)
CONVENTION = "camera-to-world 4x4, OpenGL camera axes (x right, y up, z back); applied_transform and _scale undone"
OPTIONS = {
    "camera": "file_path of a frame: use the frames with a camera within 2 % of its; required where they differ more",
    "scale": SCALE_MEANING,
    "rate": RATE_MEANING,
    labels.LABELS_ONLY: labels.LABELS_ONLY_MEANING,
}
FILE = "transforms.json"
SPLIT_FILES = {f"transforms_{split}.json": split for split in SPLITS}
LISTS = {"train_filenames": "train", "val_filenames": "val", "test_filenames": "test"}
OPTICAL_FROM_OPENGL = np.diag([1.0, -1.0, -1.0, 1.0])
USUAL_RATE_HZ = 30.0


def recognises(path: Path) -> bool:
    return bool(_files(path))


def pose_convention(options: dict[str, str], scene_name: str) -> PoseConvention:
    return PoseConvention(axes="OpenGL")


def load(root: Path, split_file: Path | None, options: dict[str, str], faults: Faults) -> Scene:
    """The scene in the folder `root`; all `train` without lists in the file or a split file.

    Frames that the file's lists leave out are not used. UserError where the file is wrong, or has several cameras.
    """
    files = _files(root)
    if not files:
        raise UserError(f"{root}: neither {FILE} nor {' nor '.join(SPLIT_FILES)} is there; {NAME} reads {LAYOUT}")
    contents = {file: read_json(file) for file in files}
    path, content = next(iter(contents.items()))
    rate_hz, assumed_rate_hz = frame_rate(options, USUAL_RATE_HZ, path)
    scale, units = metric_scale(options, path, "the file has no unit, nor do poses from COLMAP", faults)
    frames = _frames(root, contents, files, faults)
    splits = {name: frame.split for name, frame in frames.items()}
    if split_file is not None:
        splits = labels.chosen_splits(root, split_file, frames.keys(), " or ".join(f.name for f in files), faults)
    elif path.name == FILE and any(key in content for key in LISTS):
        splits = _listed(root, content, frames, faults)
    undone = {file: _Undone(file, contents[file], scale) for file in files}
    image_files, reader = ImageFiles(root, faults, labels.is_labels_only(options)), PoseReader(faults)
    stamps = frame_stamps(sorted(frames, key=natural_order), rate_hz)
    images = []
    for name, split in splits.items():
        frame, where = frames[name], frames[name].where
        T_44, image = _matrix(where, frame.entry, faults), image_files.find(name, where, frame.entry["file_path"])
        pose = None if T_44 is None else reader.from_matrix(where, undone[frame.file](T_44) @ OPTICAL_FROM_OPENGL)
        if pose is not None and image is not None:
            sequence = str(PurePosixPath(name).parent)
            images.append(PosedImage(name, image, pose, split, sequence, stamps[name]))
    reader.remark_on_corrected(path)
    images.sort(key=lambda image: natural_order(image.name))
    sizes = [] if image_files.labels_only else [image.path for image in images]
    entries = {name: frame.entry for name, frame in frames.items()}
    if "camera" in options and frames:
        chosen = _frame_of(path, frames, options["camera"])
        intrinsics, kept = frames_with_camera(path, content, entries, sizes, chosen, faults)
        if left := len(images) - len(images := [image for image in images if image.name in kept]):
            faults.remark(path, f"{left} frames of other cameras are left out (camera={options['camera']})")
    else:
        intrinsics = read_intrinsics(path, content, entries, sizes, faults)
    name = root.resolve().name
    return Scene(name, images, intrinsics=intrinsics, root=root, units=units, assumed_rate_hz=assumed_rate_hz)


class _Frame(NamedTuple):
    """A frame of a file, with the camera that the file gives for all, where there are several files."""

    where: str
    split: str
    file: Path
    entry: dict[str, Any]


def _files(root: Path) -> dict[Path, str]:
    """The files of the data set and the split of their frames: transforms.json, or without it one for each split."""
    if (root / FILE).is_file():
        return {root / FILE: "train"}
    return {root / name: split for name, split in SPLIT_FILES.items() if (root / name).is_file()}


def _frame_of(path: Path, frames: dict[str, _Frame], file_path: str) -> str:
    """The name of the frame with this file_path. UserError."""
    names = (_image_name(path.parent, file_path), file_path)
    if (found := next((name for name in names if name in frames), None)) is None:
        raise UserError(
            f"{path}: camera={file_path} is not a frame's file_path; name one, such as {next(iter(frames))}"
        )
    return found


class _Undone:
    """Converts a file's camera-to-world matrix to that of the recording, with positions in metres."""

    def __init__(self, path: Path, content: dict[str, Any], metres_per_unit: float) -> None:
        applied = content.get("applied_transform", np.eye(4).tolist())
        scale = content.get("applied_scale", 1.0)
        try:
            A_44 = square(applied)
        except ValueError as error:
            raise UserError(
                f"{path}: applied_transform is not a 3x4 or 4x4 matrix ({error}); fix or remove it"
            ) from None
        R = A_44[:3, :3]
        if not (np.isfinite(A_44).all() and np.allclose(R @ R.T, np.eye(3), atol=1e-4) and np.linalg.det(R) > 0):
            raise UserError(f"{path}: applied_transform {A_44[:3].tolist()} is not a rigid transform; fix it")
        if not (isinstance(scale, (int, float)) and 0 < scale < float("inf")):
            raise UserError(f"{path}: applied_scale is {scale}, it must be a number above 0; fix or remove it")
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
        faults.refuse(where, f"transform_matrix is not a 4x4 matrix ({error})")
        return None


def _frames(
    root: Path, contents: dict[Path, dict[str, Any]], splits: dict[Path, str], faults: Faults
) -> dict[str, _Frame]:
    """The frames of all files by their images' names."""
    found, rows = {}, []
    for path, content in contents.items():
        given = content.get("frames")
        if not isinstance(given, list) or not given:
            raise UserError(f"{path}: it has no frames; {NAME} reads {LAYOUT}")
        shared = {key: value for key, value in content.items() if key != "frames"} if len(contents) > 1 else {}
        for index, frame in enumerate(given):
            where = f"{path} frames[{index}]"
            if not isinstance(frame, dict) or not isinstance(frame.get("file_path"), str):
                faults.refuse(where, "not a frame: a frame has file_path and transform_matrix")
                continue
            found[where] = _Frame(where, splits[path], path, shared | frame)
            name, rest = _image_name(root, frame["file_path"]), json.dumps(frame, sort_keys=True)
            rows.append(Row(name, splits[path], where, [], rest=rest))
    return {name: found[row.where] for name, row in labels.by_name(rows, faults).items()}


def _image_name(root: Path, file_path: str) -> str:
    """The name, with the suffix that its image has where the file leaves it out."""
    name = posix_name(file_path)
    if image_suffix(name) or not below(name) or (found := find_image(root / name)) is None:
        return name
    return f"{name}{image_suffix(found.name)}"


def _listed(root: Path, content: dict[str, Any], frames: dict[str, _Frame], faults: Faults) -> dict[str, str]:
    """The split by the file's own lists. A name without a frame, or in two lists, is a fault."""
    path = root / FILE
    splits: dict[str, str] = {}
    find = labels.known_names(frames)
    for key, split in LISTS.items():
        names = content.get(key) or []
        if not isinstance(names, list):
            raise UserError(f"{path}: {key} is {names!r:.80}, it must be a list of the frames' file_path")
        for given in names:
            name = find(str(given))
            if name is None:
                faults.refuse(path, f"{key} names {given}, which is not a frame")
            elif splits.setdefault(name, split) != split:
                faults.refuse(path, f"{key} names {given}, which is already in {splits[name]}_filenames")
    if len(splits) < len(frames):
        faults.remark(path, f"{len(frames) - len(splits)} frames are in none of its lists and are not used")
    return splits

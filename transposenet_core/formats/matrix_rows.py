"""Poses as rows of sixteen numbers, 4x4 row-major, beside a folder of images and the camera matrix.

Convention: poses.txt holds camera-to-map transforms in metres, optical axes, unless `convention=` is given; its
rows belong to the images of images/ in the order of their names. Frames have no time: they are counted at `rate=`.
"""

from __future__ import annotations

from pathlib import Path

from transposenet_core.errors import UserError
from transposenet_core.formats.camera_files import read_camera_matrix
from transposenet_core.formats.declared_convention import T_CAMERA_MAP, T_MAP_CAMERA, PoseConvention
from transposenet_core.formats.faults import Faults
from transposenet_core.formats.labels import ImageFiles, chosen_splits, natural_order
from transposenet_core.formats.numbers import RATE_MEANING, frame_rate
from transposenet_core.formats.rows import CAMERA_TO_MAP, MAP_TO_CAMERA, PoseReader, convention_of, read_lines
from transposenet_core.image_files import IMAGE_SUFFIXES, image_size
from transposenet_core.scene import PosedImage, Scene
from transposenet_core.text_files import words

NAME = "matrix_rows"
LAYOUT = "poses.txt (a line per image: 16 numbers, a 4x4 matrix row by row), K.txt (3x3, pixels), images in images/"
CONVENTION = "camera-to-map in metres, optical axes; rows in the order of the images' names"
OPTIONS = {
    "convention": "camera_to_map (default) | map_to_camera: what the matrices are",
    "rate": RATE_MEANING,
}
POSES, CAMERA, IMAGES = "poses.txt", "K.txt", "images"
USUAL_RATE_HZ = 30.0


def recognises(path: Path) -> bool:
    return (path / POSES).is_file() and (path / IMAGES).is_dir()


def pose_convention(options: dict[str, str], scene_name: str) -> PoseConvention:
    return T_CAMERA_MAP if options.get("convention") == MAP_TO_CAMERA else T_MAP_CAMERA


def load(root: Path, split_file: Path | None, options: dict[str, str], faults: Faults) -> Scene:
    """The scene in the folder `root`, all of it `train` without a split file."""
    convention = convention_of(options, CAMERA_TO_MAP, NAME, root)
    rate_hz, assumed_rate_hz = frame_rate(options, USUAL_RATE_HZ, root)
    numbered = enumerate(read_lines(root / POSES, LAYOUT), start=1)
    lines = [(f"{root / POSES} line {number}", words(line)) for number, line in numbered if line.strip()]
    folder = root / IMAGES
    names = sorted((p.name for p in folder.glob("*") if p.suffix.lower() in IMAGE_SUFFIXES), key=natural_order)
    if not lines or len(lines) != len(names):
        raise UserError(
            f"{root}: {len(lines)} rows in {POSES} and {len(names)} images in {IMAGES}/; there must be a row for "
            "each image, in the order of the names: add what is missing or remove the surplus"
        )
    rows = {f"{IMAGES}/{name}": (index, *line) for index, (name, line) in enumerate(zip(names, lines, strict=True))}
    splits = dict.fromkeys(rows, "train")
    if split_file is not None:
        splits = chosen_splits(root, split_file, rows.keys(), POSES, faults)
    reader, image_files, images = PoseReader(faults), ImageFiles(root, faults), []
    for name, split in splits.items():
        index, where, numbers = rows[name]
        values, path = reader.numbers(where, numbers, 16), image_files.find(name, where)
        pose = None if values is None else reader.from_matrix(where, values.reshape(4, 4), convention)
        if pose is not None and path is not None:
            images.append(PosedImage(name, path, pose, split, IMAGES, index / rate_hz))
    reader.remark_on_corrected(root / POSES)
    images.sort(key=lambda image: image.stamp)
    scene = Scene(root.resolve().name, images, root=root, assumed_rate_hz=assumed_rate_hz)
    if images and (root / CAMERA).is_file():
        width, height = image_size([image.path for image in images])
        scene.intrinsics = read_camera_matrix(root / CAMERA, width, height)
    return scene

"""PoseNet's text files: three header lines, then `IMAGE X Y Z W P Q R`, the layout that Cambridge Landmarks also has.

Convention: X Y Z is the camera's centre in map metres, W P Q R a quaternion, w first, in optical axes. Its direction
is not fixed by the format: the older files of 7-Scenes (names like /seq-01/frame-000000.color.png) hold
camera-to-map, Cambridge's map-to-camera, and the labels do not show which they are. So the user must
give it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from transposenet_core.errors import UserError
from transposenet_core.formats import labels
from transposenet_core.formats.declared_convention import CENTRE_AND_INVERSE, T_MAP_CAMERA, PoseConvention
from transposenet_core.formats.faults import Faults
from transposenet_core.formats.labels import ImageFiles, Row
from transposenet_core.formats.numbers import RATE_MEANING, frame_rate
from transposenet_core.formats.rows import MAP_TO_CAMERA, PoseReader, convention_of, read_lines
from transposenet_core.scene import Scene
from transposenet_core.text_files import open_text, words

NAME = "posenet_txt"
LAYOUT = (
    "a file NAME_train.txt, with NAME_val.txt and NAME_test.txt beside it, or any one file: 3 header lines, then "
    "IMAGE X Y Z W P Q R"
)
CONVENTION = "X Y Z is the camera's centre in map metres, W P Q R (w first) as convention= gives it, optical axes"
OPTIONS = {
    "convention": "camera_to_map | map_to_camera, required: the direction of W P Q R; 7-Scenes has camera_to_map, "
    "Cambridge map_to_camera; transposenet check determines it from the images",
    "images": labels.IMAGES_MEANING,
    "rate": RATE_MEANING,
    labels.LABELS_ONLY: labels.LABELS_ONLY_MEANING,
}
HEADER_LINES = 3
COLUMNS = "ImageFile, Camera Position [X Y Z W P Q R]"
RATE_HZ = 30.0


def recognises(path: Path) -> bool:
    return path.is_file() and path.suffix.lower() == ".txt" and _is_header(path)


def _is_header(path: Path) -> bool:
    with open_text(path, errors="replace") as file:
        head = [file.readline(200) for _ in range(2)]
    return head[1].startswith("ImageFile")


def pose_convention(options: dict[str, str], scene_name: str) -> PoseConvention:
    return CENTRE_AND_INVERSE if options.get("convention") == MAP_TO_CAMERA else T_MAP_CAMERA


def load(path: Path, split_file: Path | None, options: dict[str, str], faults: Faults) -> Scene:
    """The scene whose labels are in the file `path`; rows of a file without a split in its name are `train`."""
    convention = convention_of(options, None, NAME, path)
    if not path.is_file():
        raise UserError(f"{path}: {NAME} reads {LAYOUT}; give the file")
    files = labels.files_of_splits(path)
    read = (row for file, split in files.items() for row in read_rows(file, split or "train"))
    # 7-Scenes' names start with a slash that means the scene's folder.
    rows = labels.by_name((replace(row, name=row.name.removeprefix("/").removeprefix("\\")) for row in read), faults)
    root = labels.images_folder(options, path.parent)
    splits = {name: row.split for name, row in rows.items()}
    if split_file is not None:
        splits = labels.chosen_splits(root, split_file, rows.keys(), " or ".join(f.name for f in files), faults)
    image_files = ImageFiles(root, faults, labels.is_labels_only(options))
    rate_hz, assumed_rate_hz = frame_rate(options, RATE_HZ, path)
    images = labels.posed_images(rows, splits, image_files, PoseReader(faults), convention, rate_hz)
    return Scene(_scene_name(path), images, root=root, assumed_rate_hz=assumed_rate_hz)


def _scene_name(path: Path) -> str:
    return path.stem.rpartition("_")[0] or path.stem


def read_rows(path: Path, split: str, whose: str = "PoseNet") -> Iterator[Row]:
    """The rows of one file, not yet checked. UserError where the file does not have this layout."""
    lines = read_lines(path, f"labels of {whose}: three header lines, then IMAGE X Y Z W P Q R")
    if len(lines) <= HEADER_LINES or not lines[1].startswith("ImageFile"):
        raise UserError(
            f"{path}: not labels of {whose}, which are three header lines, the second '{COLUMNS}', and a line "
            "per image; put the header back"
        )
    for number, line in enumerate(lines[HEADER_LINES:], start=HEADER_LINES + 1):
        if columns := words(line):
            yield Row(columns[0], split, f"{path} line {number}", columns[1:])

"""Label tables of the reference implementations: `scene,split,seq,img_path,t1,t2,t3,q1,q2,q3,q4`, one scene or several.

Convention: t1 t2 t3 is the camera's centre in map metres, q1 q2 q3 q4 a quaternion, w first, in optical axes. As in the
files that they were made from, 7-Scenes' quaternions are camera-to-map and Cambridge's map-to-camera; for a scene of
another name the user gives it.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from transposenet_core.errors import UserError
from transposenet_core.formats import labels
from transposenet_core.formats.declared_convention import CENTRE_AND_INVERSE, T_MAP_CAMERA, PoseConvention
from transposenet_core.formats.faults import Faults
from transposenet_core.formats.labels import ImageFiles, Row
from transposenet_core.formats.numbers import RATE_MEANING, frame_rate
from transposenet_core.formats.rows import CAMERA_TO_MAP, MAP_TO_CAMERA, PoseReader, convention_of
from transposenet_core.scene import SPLITS, Scene
from transposenet_core.text_files import open_text, read_rows

NAME = "labels_csv"
LAYOUT = (
    "a CSV scene,split,seq,img_path,t1,t2,t3,q1,q2,q3,q4, one file, or NAME_train.csv with NAME_val.csv and "
    "NAME_test.csv beside it"
)
CONVENTION = (
    "t is the camera's centre in map metres, q (w first) camera-to-map for the scenes of 7-Scenes and map-to-camera "
    "for Cambridge's, optical axes"
)
OPTIONS = {
    "scene": "which scene of a file with several",
    "convention": "camera_to_map | map_to_camera, required for a scene of another name",
    "images": labels.IMAGES_MEANING,
    "rate": RATE_MEANING,
    labels.LABELS_ONLY: labels.LABELS_ONLY_MEANING,
}
COLUMNS = ["scene", "split", "seq", "img_path", "t1", "t2", "t3", "q1", "q2", "q3", "q4"]
SEVEN_SCENES = ("chess", "fire", "heads", "office", "pumpkin", "redkitchen", "stairs")
CAMBRIDGE = ("GreatCourt", "KingsCollege", "OldHospital", "ShopFacade", "StMarysChurch", "Street")
CONVENTIONS = dict.fromkeys(SEVEN_SCENES, CAMERA_TO_MAP) | dict.fromkeys(CAMBRIDGE, MAP_TO_CAMERA)
RATES_HZ = dict.fromkeys(CAMBRIDGE, 2.0)  # Kendall et al. 2015; 7-Scenes' sensor has 30
USUAL_RATE_HZ = 30.0


def recognises(path: Path) -> bool:
    if not (path.is_file() and path.suffix.lower() == ".csv"):
        return False
    with open_text(path, errors="replace") as file:
        return re.split(r"\s*[,;\t]\s*", file.readline(200).strip()) == COLUMNS


def pose_convention(options: dict[str, str], scene_name: str) -> PoseConvention:
    convention = options.get("convention", CONVENTIONS.get(scene_name))
    return CENTRE_AND_INVERSE if convention == MAP_TO_CAMERA else T_MAP_CAMERA


def load(path: Path, split_file: Path | None, options: dict[str, str], faults: Faults) -> Scene:
    """The scene whose labels are in the file `path`, or the one of its scenes that the option `scene` names."""
    if not path.is_file():
        raise UserError(f"{path}: {NAME} reads {LAYOUT}; give the file")
    files = labels.files_of_splits(path)
    found = [(scene, row) for file in files for scene, row in _read_rows(file, faults)]
    scene = _chosen_scene(path, sorted({scene for scene, _ in found}), options.get("scene"))
    convention = convention_of(options, CONVENTIONS.get(scene), NAME, path)
    rows = labels.by_name((row for its_scene, row in found if its_scene == scene), faults)
    root = _root(labels.images_folder(options, path.parent), rows)
    splits = {name: row.split for name, row in rows.items()}
    if split_file is not None:
        splits = labels.chosen_splits(root, split_file, rows.keys(), " or ".join(f.name for f in files), faults)
    rate_hz, assumed_rate_hz = frame_rate(options, RATES_HZ.get(scene, USUAL_RATE_HZ), path)
    image_files = ImageFiles(root, faults, labels.is_labels_only(options))
    images = labels.posed_images(rows, splits, image_files, PoseReader(faults), convention, rate_hz)
    return Scene(scene, images, root=root, assumed_rate_hz=assumed_rate_hz)


def _read_rows(path: Path, faults: Faults) -> Iterator[tuple[str, Row]]:
    """Scene and row of each line; a line with the wrong number of columns or an unknown split is a fault."""
    try:
        lines = read_rows(path)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path}: the labels cannot be read ({error}); {NAME} reads {LAYOUT}") from None
    if len(lines) < 2 or lines[0][1] != COLUMNS:
        found = ",".join(lines[0][1]) if lines else "nothing"
        raise UserError(f"{path}: '{found:.100}' found; a label table starts with {','.join(COLUMNS)} and has rows")
    for number, line in lines[1:]:
        where = f"{path} line {number}"
        if len(line) != len(COLUMNS):
            faults.refuse(where, f"{len(line)} columns, there must be {len(COLUMNS)}: {','.join(COLUMNS)}")
        elif line[1] not in SPLITS:
            faults.refuse(where, f"split '{line[1]}', allowed are {', '.join(SPLITS)}")
        else:
            yield line[0], Row(line[3], line[1], where, line[4:], rest=line[2])


def _chosen_scene(path: Path, scenes: list[str], wanted: str | None) -> str:
    if wanted in scenes:
        return wanted
    if wanted is None and len(scenes) == 1:
        return scenes[0]
    known = ", ".join(scenes) or "none, because every row has a fault"
    found = f"no scene '{wanted}' there" if wanted else "several scenes there"
    raise UserError(f"{path}: {found}; its scenes: {known}; write {NAME}:{path},scene=NAME with one of them")


def _root(folder: Path, rows: dict[str, Row]) -> Path:
    """The folder that names like redkitchen/seq-01/... start from: `folder`, or its parent where it is redkitchen."""
    first = PurePosixPath(next(iter(rows))).parts[0] if rows else ""
    return folder.resolve().parent if folder.resolve().name == first and not (folder / first).is_dir() else folder

"""The layout of Cambridge Landmarks: images in seqN/ below a folder with dataset_train.txt and dataset_test.txt.

Convention: `IMAGE X Y Z W P Q R`, where X Y Z is the camera's centre in map metres and W P Q R the quaternion (w
first) that rotates map axes to the camera's optical axes: world-to-camera, so it is inverted here. PoseNet's text files
of other data sets (7-Scenes) look the same but hold camera-to-world quaternions: posenet_txt.py. The published files
have wrong rows, which are refused: quaternions off unit length (0.945 to 2.013 in Street, 41 rows; 7 in
StMarysChurch) and a camera at 3.4e9 m (GreatCourt). Frames carry no time: the videos were thinned to 2 Hz (Kendall et
al. 2015).
"""

from __future__ import annotations

from pathlib import Path

from transposenet_core.formats import labels
from transposenet_core.formats.declared_convention import CENTRE_AND_INVERSE, PoseConvention
from transposenet_core.formats.faults import Faults
from transposenet_core.formats.labels import ImageFiles
from transposenet_core.formats.numbers import RATE_MEANING, frame_rate
from transposenet_core.formats.posenet_txt import read_rows
from transposenet_core.formats.rows import MAP_TO_CAMERA, PoseReader
from transposenet_core.scene import Scene

NAME = "cambridge"
LAYOUT = "dataset_train.txt and dataset_test.txt (3 header lines, then seqN/frameNNNNN.png X Y Z W P Q R) above images"
CONVENTION = "X Y Z is the camera's centre in map metres, W P Q R (w first) the map-to-camera quaternion, optical axes"
OPTIONS = {"rate": RATE_MEANING, labels.LABELS_ONLY: labels.LABELS_ONLY_MEANING}
LABEL_FILES = {"train": "dataset_train.txt", "test": "dataset_test.txt"}
RATE_HZ = 2.0


def recognises(path: Path) -> bool:
    return any((path / name).is_file() for name in LABEL_FILES.values())


def pose_convention(options: dict[str, str], scene_name: str) -> PoseConvention:
    return CENTRE_AND_INVERSE


def load(root: Path, split_file: Path | None, options: dict[str, str], faults: Faults) -> Scene:
    """The scene in the folder `root`; its images in the order of their sequences and numbers.

    Names in a split file start at `root` or at its parent.
    """
    rows = labels.by_name(
        (row for split, name in LABEL_FILES.items() for row in read_rows(root / name, split, "Cambridge Landmarks")),
        faults,
    )
    splits = {name: row.split for name, row in rows.items()}
    if split_file is not None:
        splits = labels.chosen_splits(root, split_file, rows.keys(), " or ".join(LABEL_FILES.values()), faults)
    image_files = ImageFiles(root, faults, labels.is_labels_only(options))
    rate_hz, assumed_rate_hz = frame_rate(options, RATE_HZ, root)
    images = labels.posed_images(rows, splits, image_files, PoseReader(faults), MAP_TO_CAMERA, rate_hz)
    return Scene(root.resolve().name, images, root=root, assumed_rate_hz=assumed_rate_hz)

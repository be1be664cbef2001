"""Shared by recordings whose images and poses have separate stamps: rows with stamps, poses found by time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from transposenet_core.errors import UserError
from transposenet_core.formats import labels
from transposenet_core.formats.association import MAX_GAP_S, associate
from transposenet_core.formats.faults import REPEATED, Faults
from transposenet_core.formats.numbers import number_option, positive_option
from transposenet_core.formats.rows import below, read_lines
from transposenet_core.geometry.pose import Pose
from transposenet_core.image_files import posix_name
from transposenet_core.text_files import words

TIME_OPTIONS = {
    "max_gap": f"longest gap in seconds between two poses to interpolate, default {MAX_GAP_S:g}",
    "time_offset": "seconds added to the images' stamps before poses are found for them, default 0",
    labels.LABELS_ONLY: labels.LABELS_ONLY_MEANING,
}


@dataclass(frozen=True)
class Frame:
    """An image's name below the data set, its stamp, the row that has both, and the name as it is there."""

    name: str
    stamp_ns: int
    where: str
    text: str


class Trajectory:
    """Poses by their stamps, from rows of the file `path`; another pose at the same stamp is a fault.

    `faults` are those of its rows, which go to the data set's with :meth:`report`.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.faults = path, Faults()
        self.poses: dict[int, Pose] = {}
        self._places: dict[int, str] = {}
        self._repeated = 0

    def add(self, where: str, stamp_ns: int, pose: Pose) -> None:
        known = self.poses.setdefault(stamp_ns, pose)
        if known is pose:
            self._places[stamp_ns] = where
        elif np.array_equal(known.matrix_44, pose.matrix_44):
            self._repeated += 1
        else:
            self.faults.refuse(where, f"the stamp is already in {self._places[stamp_ns]}, with another pose")

    def report(self, faults: Faults) -> None:
        """Its faults, and one remark on rows that are there twice."""
        if self._repeated:
            self.faults.remark(self.path, REPEATED.format(self._repeated))
        rows = len(self.poses) + self._repeated + len(self.faults.refused)
        faults.add_table(self.path, rows, self.faults)


def stamped_rows(path: Path, what: str, most: int = 0) -> Iterator[tuple[str, list[str]]]:
    """The place of each row of a table, and its words; comments (#) and empty lines are skipped.

    The last of `most` words is the rest of the row, such as a file's name with spaces. UserError that states `what` the
    file should be where it cannot be read or has no rows.
    """
    found = False
    for number, line in enumerate(read_lines(path, what), start=1):
        if line.strip() and not line.lstrip().startswith("#"):
            found = True
            yield f"{path} line {number}", words(line, most)
    if not found:
        raise UserError(f"{path}: it has no rows; it should be {what}")


def named_frame(text: str, stamp_ns: int, where: str, folder: str, faults: Faults) -> Frame | None:
    """A frame whose name `text` starts from `folder`, below the data set; None, and a fault, if it leads elsewhere."""
    if below(name := posix_name(text)):
        return Frame(f"{folder}/{name}" if folder else name, stamp_ns, where, text)
    faults.refuse(where, f"the image {text} is not below the folder of the images")
    return None


def without_repeated(frames: Sequence[Frame], path: Path, faults: Faults) -> list[Frame]:
    """The frames of the file `path`, one of each name and stamp; a remark counts the others."""
    distinct = {(frame.name, frame.stamp_ns): frame for frame in reversed(frames)}
    if repeated := len(frames) - len(distinct):
        faults.remark(path, REPEATED.format(repeated))
    return list(reversed(distinct.values()))


def pose_frames(
    frames: Sequence[Frame], trajectory: Trajectory, source: Path, options: dict[str, str], faults: Faults
) -> list[tuple[Frame, Pose]]:
    """The frames of the file `source` with the poses at their time; those without one are left out, with a remark.

    UserError where those are too many (fault matrix, T3), or an option is not a number.
    """
    max_gap_s = positive_option(options, "max_gap", MAX_GAP_S, source)
    offset_s = time_offset_s(options, source)
    if not frames or not trajectory.poses:
        return []  # all rows had faults, which are reported
    stamps_ns, poses = list(trajectory.poses), list(trajectory.poses.values())
    found = associate([frame.stamp_ns for frame in frames], stamps_ns, poses, max_gap_s, offset_s)
    found.require(f"{source} with {trajectory.path}")
    if found.rate < 1:
        faults.remark(source, f"{found}; the others are left out")
    return [(frame, pose) for frame, pose in zip(frames, found.poses, strict=True) if pose is not None]


def time_offset_s(options: dict[str, str], source: Path) -> float:
    """The option `time_offset`, which a scene keeps. UserError where it is no number."""
    return number_option(options, "time_offset", 0.0, source)


def sequence_folders(root: Path, marks: Sequence[str]) -> list[Path]:
    """`root` if it has one of the files `marks`, otherwise the folders in it that have one."""
    folders = [root, *sorted(folder for folder in root.glob("*") if folder.is_dir())]
    found = [folder for folder in folders if any((folder / mark).is_file() for mark in marks)]
    return found[:1] if root in found else found

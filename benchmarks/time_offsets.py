#!/usr/bin/env python3
"""How often a time offset is reported that is not there, and how often one that is.

python benchmarks/time_offsets.py --data FORMAT:PATH [--data FORMAT:PATH ...]

The poses of each data set are moved in time by 0, 1, 2.4 and -3 frames and compared with the images over stretches of
40 to 300 images; all images of a data set, and every second and third of them. Wrong is what is more than half a frame
off.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # runs from a checkout that is not installed, too

from benchmarks import markdown
from transposenet_core.command_line import exit_code
from transposenet_core.dataset_check.time_offset import TimeOffset, estimate_time_offset, rotations_between
from transposenet_core.formats import inspect_scene
from transposenet_core.geometry.pose import Pose
from transposenet_core.image_files import read_image
from transposenet_core.scene import Scene

FRAMES, EVERY = (0.0, 1.0, 2.4, -3.0), (1, 2, 3)
LENGTHS = {"40, 60": (40, 60), "100, 150": (100, 150), "300": (300,)}
COLUMNS = ("offset, frames", "images", "stretches", "reported", "wrong", "none", "unknown")
Track = tuple[np.ndarray, np.ndarray, list[Pose]]


def tracks(scene: Scene) -> Iterator[Track]:
    """Stamps, rotations between the images, and poses, of a scene and of every second and third of its images."""
    images = sorted(scene.images, key=lambda image: image.stamp)
    for every in EVERY:
        some = images[::every]
        rotations = rotations_between(read_image(image.path) for image in some)
        yield np.array([image.stamp for image in some]), rotations, [image.pose for image in some]


def stretches(track: Track, length: int, frames: float) -> Iterator[tuple[float, float, TimeOffset]]:
    """The period, the true offset and the estimated one of stretches that overlap by two thirds."""
    stamps, rotations, poses = track
    for start in range(0, len(stamps) - length + 1, max(length // 3, 1)):
        part = stamps[start : start + length]
        period = float(np.median(np.diff(part)))
        inside = rotations[start : start + length - 1]
        found = estimate_time_offset(part, inside, part + frames * period, poses[start : start + length])
        yield period, frames * period, found


def outcome(period: float, true: float, found: TimeOffset) -> str:
    if found.seconds is None:
        return "unknown"
    if found.seconds == 0:
        return "none"
    return "reported" if abs(found.seconds - true) <= period / 2 else "wrong"


def rows(recordings: Sequence[Track]) -> Iterator[list[str]]:
    for frames in FRAMES:
        for name, lengths in LENGTHS.items():
            ends = Counter(outcome(*each) for t in recordings for n in lengths for each in stretches(t, n, frames))
            reported = ends["reported"] + ends["wrong"]
            counts = (ends.total(), reported, ends["wrong"], ends["none"], ends["unknown"])
            yield [f"{frames:g}", name, *map(str, counts)]


def run(arguments: argparse.Namespace) -> None:
    recordings = [track for data in arguments.data for track in tracks(inspect_scene(data)[0])]
    print(markdown.table(COLUMNS, list(rows(recordings))))


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", action="append", required=True, metavar="FORMAT:PATH")
    return exit_code(lambda: run(parser.parse_args(arguments)))


if __name__ == "__main__":
    sys.exit(main())

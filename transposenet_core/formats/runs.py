"""Runs: what one camera recorded in one go, the time between its frames, and which frames are neighbours in time."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from itertools import chain

import numpy as np

from transposenet_core.scene import PosedImage

LAST_NUMBER = re.compile(r"[\d.]+\D*$")
# Frame times: frames of a run that are nearer to each other leak from one split into another (fault matrix, T4). Stamps
# are multiples of the frame time to rounding: half a frame is the tolerance.
NEAR = 3
NEAR_PERIODS = NEAR + 0.5


def find_runs(images: Sequence[PosedImage]) -> list[np.ndarray]:
    """Each an array of indices into `images` by their stamps: the frames of a sequence whose names differ in their last
    number alone (Street's folder `img` holds image1_* and image2_*)."""
    sequences: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    for index, image in enumerate(images):
        sequences[image.sequence][LAST_NUMBER.sub("", image.name)].append(index)
    stamps_N = np.array([image.stamp for image in images], np.float64)
    runs = []
    for stems in sequences.values():
        # Names without an order, such as hashes, do not help: then the sequence is the run.
        count = sum(map(len, stems.values()))
        groups = list(stems.values()) if 2 * len(stems) <= count else [list(chain.from_iterable(stems.values()))]
        runs += [np.array(group)[np.argsort(stamps_N[group], kind="stable")] for group in groups]
    return runs


def frame_period(stamps_N: np.ndarray) -> float:
    """Seconds between two frames of a run, the median, of stamps in order; 0 where its frames have no time."""
    seconds = np.diff(stamps_N)
    positive = seconds[seconds > 0]
    return float(np.median(positive)) if len(positive) else 0.0

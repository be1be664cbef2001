"""Does the split leak: evaluation frames that were taken just before or after training frames (fault matrix, T4)?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from transposenet_core.dataset_check.tracks import Tracks
from transposenet_core.formats.faults import Faults
from transposenet_core.formats.runs import NEAR, NEAR_PERIODS

RANDOM_SHARE = 0.5


@dataclass(frozen=True)
class Leakage:
    """Of `frames` frames of a split, `same_run` were taken in a run that also has training frames, `leaking` of them
    at most NEAR frame times from the nearest training frame; ``nearest_frames`` is the
    median of that distance in frame times, None where no run is shared."""

    frames: int
    same_run: int
    leaking: int
    nearest_frames: float | None


def find_leakage(tracks: Tracks, split: str) -> Leakage:
    """What `split` shares with the training split. O(N log N) in the number of frames."""
    gaps: list[np.ndarray] = []
    for run in tracks.runs:
        training = tracks.stamps_N[run[tracks.splits_N[run] == "train"]]
        evaluated = tracks.stamps_N[run[tracks.splits_N[run] == split]]
        period = tracks.period(run)
        if len(training) and len(evaluated) and period > 0:
            after = np.searchsorted(training, evaluated)
            left = np.abs(evaluated - training[np.maximum(after - 1, 0)])
            right = np.abs(evaluated - training[np.minimum(after, len(training) - 1)])
            gaps.append(np.minimum(left, right) / period)
    gap_N = np.concatenate([np.zeros(0), *gaps])
    leaking = int(np.count_nonzero(gap_N < NEAR_PERIODS))
    nearest = float(np.median(gap_N)) if len(gap_N) else None
    return Leakage(len(tracks.of(split)), len(gap_N), leaking, nearest)


def check_leakage(tracks: Tracks, faults: Faults) -> dict[str, Leakage]:
    """Split -> its leakage, for `val` and `test`; a split that leaks is remarked on, because its figures mislead."""
    found = {split: find_leakage(tracks, split) for split in ("val", "test") if len(tracks.of(split))}
    for split, leakage in found.items():
        share = leakage.leaking / leakage.frames
        advice = "split by sequence, or by blocks of time with frames left out between them"
        counts = f"{leakage.leaking} of {leakage.frames} {split} frames"
        if share >= RANDOM_SHARE:
            faults.remark(
                f"{split} split",
                f"leaks like a random split: {counts} have a training frame of the same run at most {NEAR} frames "
                f"away, so errors on them do not hold for a new recording; {advice}",
            )
        elif leakage.leaking:
            faults.remark(
                f"{split} split",
                f"has no guard gap, or too short a one: {counts} have a training frame of the same run at most {NEAR} "
                f"frames away; {advice}",
            )
    return found

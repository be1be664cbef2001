"""Rounds of triangulation and bundle adjustment with falling limits, and the recording's errors estimated between."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from transposenet_core.mapping.adjust import recorded, structure, tracks
from transposenet_core.mapping.adjust.bundle import BundleOptions, Cameras, Observations, PosePrior, adjust_bundle
from transposenet_core.mapping.adjust.lens import Lens
from transposenet_core.mapping.adjust.recorded import RecordedModel, Recording
from transposenet_core.mapping.adjust.structure import Structure
from transposenet_core.progress import ProgressBar

MOST_OBSERVATIONS = 1_500_000  # of one adjustment; Ceres takes about 1 kB for each
FEWEST_SEEN = 15  # observations that fix a frame


@dataclass(frozen=True)
class Round:
    """``limit_px`` beyond which observations are left out, at 640 pixels of width; ``per_frame`` observations."""

    limit_px: float
    per_frame: int
    iterations: int
    lens: bool


ROUNDS = (
    Round(40, 90, 12, False),
    Round(16, 90, 15, True),
    Round(8, 140, 15, True),
    Round(4, 140, 20, True),
)


@dataclass(frozen=True, eq=False)
class Solution:
    """Cameras in the map frame of the recording, lens, points with what agrees, and the recording's errors."""

    cameras: Cameras
    lens: Lens
    structure: Structure
    model: RecordedModel
    prior: PosePrior
    good_N: np.ndarray


def solve(
    recording: Recording,
    lens: Lens,
    seen: Observations,
    adjust_lens: bool,
    stated_sigma: np.ndarray | None,
    threads: int,
    progress: bool,
) -> Solution:
    """`stated_sigma`: covariances (N, 6, 6) of the recorded poses, None where they are estimated."""
    points = int(seen.point_O.max(initial=-1)) + 1
    frames = len(recording.stamp_N)
    spread, pixel = recording.spread, lens.stated.width / 640
    size = lens.stated.width, lens.stated.height
    cameras = recording.cameras
    covariance_N66 = stated_sigma if stated_sigma is not None else isotropic(frames, 0.03 * spread, np.radians(1.5))
    prior = PosePrior(cameras, covariance_N66)
    model = recorded.fit(cameras, recording, np.zeros(frames, bool), spread)
    good_N = np.zeros(frames, bool)
    for step in ProgressBar(ROUNDS, desc="adjustment", unit="round", disable=not progress):
        limit = step.limit_px * pixel
        built = structure.build(cameras, lens, seen, points, limit)
        per_frame = int(min(step.per_frame, max(40, MOST_OBSERVATIONS / max(frames, 1))))
        chosen = built.seen.only(tracks.select(built.seen, points, frames, size, per_frame))
        good_N = np.bincount(chosen.frame_O, minlength=frames) >= FEWEST_SEEN
        chosen = chosen.only(good_N[chosen.frame_O])
        if not len(chosen.frame_O):
            break
        loss = max(limit / 6, 0.7 * pixel)
        options = BundleOptions(loss, adjust_lens and step.lens, step.iterations, threads)
        cameras, lens, _ = adjust_bundle(cameras, lens, built.point_P3, chosen, prior, options)
        model = recorded.fit(cameras, recording, good_N, spread)
        if step is not ROUNDS[-1]:
            cameras = recorded.in_the_recordings_frame(model.parameter_14, cameras)
            prior = recorded.prior_of(model, cameras, recording, _covariances(model, frames, stated_sigma, spread))
            cameras = where(good_N, cameras, prior.cameras)
    built = structure.build(cameras, lens, seen, points, ROUNDS[-1].limit_px * pixel)
    return Solution(cameras, lens, built, model, prior, good_N)


def isotropic(frames: int, position_sigma: float, rotation_sigma: float) -> np.ndarray:
    """Covariances (N, 6, 6) of the same errors along all axes."""
    diagonal = [max(position_sigma, 1e-9) ** 2] * 3 + [rotation_sigma**2] * 3
    return np.repeat(np.diag(diagonal)[None], frames, axis=0)


def _covariances(model: RecordedModel, frames: int, stated_N66: np.ndarray | None, spread: float) -> np.ndarray:
    """Of the prior of each frame: errors that last over many frames count as one, not as many."""
    position, rotation = np.sqrt(model.position_frames), np.sqrt(model.rotation_frames)
    if stated_N66 is None:
        return isotropic(frames, model.position_sigma * position, model.rotation_sigma * rotation)
    scale_6 = np.repeat([position, rotation], 3)
    return stated_N66 * np.outer(scale_6, scale_6)


def where(good_N: np.ndarray, a: Cameras, b: Cameras) -> Cameras:
    return Cameras(
        np.where(good_N[:, None], a.position_N3, b.position_N3),
        np.where(good_N[:, None, None], a.rotation_N33, b.rotation_N33),
    )

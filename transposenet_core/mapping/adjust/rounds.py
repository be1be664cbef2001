"""Rounds of triangulation and bundle adjustment with falling limits, and the recording's errors estimated between."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from transposenet_core.mapping.adjust import recorded, structure, tracks
from transposenet_core.mapping.adjust.bundle import BundleOptions, Cameras, Observations, PosePrior, adjust_bundle
from transposenet_core.mapping.adjust.lens import Lens, pixel_difference
from transposenet_core.mapping.adjust.recorded import RecordedModel, Recording
from transposenet_core.mapping.adjust.structure import Structure
from transposenet_core.progress import ProgressBar

MOST_OBSERVATIONS = 1_500_000  # of one adjustment; Ceres takes about 1 kB for each
FEWEST_SEEN = 15  # observations that fix a frame
LENS_KEPT_PX = 0.4  # at 640 pixels of width: a lens that differs by less is the stated one
TOLERATED = 0.05  # growth of the reprojection error, which is what lenses and shutters hide
TIGHTEST = 64.0
FINAL_ITERATIONS = 10


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
    Round(4, 140, 15, True),
)


@dataclass(frozen=True, eq=False)
class Solution:
    """Cameras in the map frame of the recording, lens, points with what agrees, and the recording's errors.

    ``tightness`` is how many times stricter the prior became than the errors suggest; ``fitting_lens`` is the lens that
    fits the images, also where the stated one is kept.
    """

    cameras: Cameras
    lens: Lens
    structure: Structure
    model: RecordedModel
    prior: PosePrior
    good_N: np.ndarray
    tightness: float
    fitting_lens: Lens


class Rounds:
    """The state that rounds pass on: cameras and lens, the recording's errors and the prior that follows from them."""

    def __init__(
        self, recording: Recording, lens: Lens, seen: Observations, stated_N66: np.ndarray | None, threads: int
    ) -> None:
        """`stated_N66`: covariances (N, 6, 6) of the recorded poses, None where they are estimated."""
        self.recording, self.stated_lens, self.seen, self.threads = recording, lens, seen, threads
        self.stated_N66 = stated_N66
        self.frames, self.points = len(recording.stamp_N), int(seen.point_O.max(initial=-1)) + 1
        self.spread, self.pixel = recording.spread, lens.stated.width / 640
        self.cameras, self.lens = recording.cameras, lens
        self.good_N = np.zeros(self.frames, bool)
        self.model = recorded.fit(self.cameras, recording, self.good_N, self.spread)
        start = isotropic(self.frames, 0.03 * self.spread, np.radians(1.5))
        self.prior = PosePrior(self.cameras, start if stated_N66 is None else stated_N66)
        self.loss_px = np.inf
        self.chosen = seen.only(np.zeros(len(seen.frame_O), bool))
        self.built = structure.build(self.cameras, lens, self.chosen, self.points, 1.0)

    def triangulate(self, step: Round) -> bool:
        """Points of the cameras as they are, and which observations the next adjustment takes; false for none."""
        limit = step.limit_px * self.pixel
        self.built = structure.build(self.cameras, self.lens, self.seen, self.points, limit)
        size = self.lens.stated.width, self.lens.stated.height
        per_frame = int(min(step.per_frame, max(40, MOST_OBSERVATIONS / max(self.frames, 1))))
        chosen = self.built.seen.only(tracks.select(self.built.seen, self.points, self.frames, size, per_frame))
        self.good_N = np.bincount(chosen.frame_O, minlength=self.frames) >= FEWEST_SEEN
        self.chosen = chosen.only(self.good_N[chosen.frame_O])
        self.loss_px = max(limit / 6, 0.7 * self.pixel)
        return bool(len(self.chosen.frame_O))

    def bundle(self, iterations: int, lens: bool, tighter: float = 1.0) -> float:
        """Adjust to the chosen observations, the prior `tighter` times as strict; their median error in pixels."""
        prior = PosePrior(self.prior.cameras, self.prior.covariance_N66 / tighter**2)
        # A stricter prior is stricter about every frame; which frames it doubts stays the same.
        options = BundleOptions(self.loss_px, lens, iterations, self.threads, 3.0 * tighter)
        self.cameras, self.lens, point_P3 = adjust_bundle(
            self.cameras, self.lens, self.built.point_P3, self.chosen, prior, options
        )
        error_O = structure.errors(self.cameras, self.lens, point_P3, self.chosen)
        return float(np.median(error_O[np.isfinite(error_O)])) if np.isfinite(error_O).any() else np.inf

    def fitting_lens(self) -> Lens:
        """The lens that the images fit, with the cameras and points free; nothing is changed."""
        options = BundleOptions(self.loss_px, True, FINAL_ITERATIONS, self.threads)
        return adjust_bundle(self.cameras, self.lens, self.built.point_P3, self.chosen, self.prior, options)[1]

    def assess_recording(self) -> None:
        """Estimate what is wrong with the recorded poses, and expect the cameras where they are then."""
        self.model = recorded.fit(self.cameras, self.recording, self.good_N, self.spread)
        self.cameras = recorded.in_the_recordings_frame(self.model.parameter_14, self.cameras)
        covariance_N66 = _covariances(self.model, self.frames, self.stated_N66)
        self.prior = recorded.prior_of(self.model, self.cameras, self.recording, covariance_N66)
        self.cameras = where(self.good_N, self.cameras, self.prior.cameras)


def solve(
    recording: Recording,
    lens: Lens,
    seen: Observations,
    adjust_lens: bool,
    stated_N66: np.ndarray | None,
    threads: int,
    progress: bool,
) -> Solution:
    """Rounds with falling limits, the prior at last as strict as the images allow."""
    state = Rounds(recording, lens, seen, stated_N66, threads)
    tightness, fitting = 1.0, lens
    bar = ProgressBar(total=len(ROUNDS) + 1, desc="adjustment", unit="round", disable=not progress)
    with bar:
        for step in ROUNDS:
            if not state.triangulate(step):
                break
            state.bundle(step.iterations, adjust_lens and step.lens)
            state.assess_recording()
            if adjust_lens and step.lens and pixel_difference(lens, state.lens) < LENS_KEPT_PX * state.pixel:
                state.lens = lens
            bar.update()
        if len(state.chosen.frame_O) and state.triangulate(ROUNDS[-1]):
            fitting = state.lens if adjust_lens else state.fitting_lens()
            tightness = _tighten(state)
            bar.update()
    built = structure.build(state.cameras, state.lens, seen, state.points, ROUNDS[-1].limit_px * state.pixel)
    return Solution(state.cameras, state.lens, built, state.model, state.prior, state.good_N, tightness, fitting)


def _tighten(state: Rounds) -> float:
    """Make the prior as strict as costs the images no more than TOLERATED; how many times stricter it became.

    Slow bends of a whole map hardly show in the images, and small faults of lens and shutter cause them: where the
    images do not object, the recording is right. The lens is what the images alone made it.
    """
    # Everything is compared with the lens as it is now, which may have become the stated one again.
    best_px = state.bundle(FINAL_ITERATIONS, False)
    state.assess_recording()
    base, tightness = state.prior.covariance_N66, 1.0
    while tightness < TIGHTEST:
        kept = state.cameras, state.model, state.prior
        state.prior = PosePrior(state.prior.cameras, base)
        found_px = state.bundle(FINAL_ITERATIONS, False, 2 * tightness)
        if found_px > best_px * (1 + TOLERATED):
            state.cameras, state.model, state.prior = kept
            break
        tightness *= 2
        state.assess_recording()
    return tightness


def isotropic(frames: int, position_sigma: float, rotation_sigma: float) -> np.ndarray:
    """Covariances (N, 6, 6) of the same errors along all axes."""
    diagonal = [max(position_sigma, 1e-9) ** 2] * 3 + [rotation_sigma**2] * 3
    return np.repeat(np.diag(diagonal)[None], frames, axis=0)


def _covariances(model: RecordedModel, frames: int, stated_N66: np.ndarray | None) -> np.ndarray:
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

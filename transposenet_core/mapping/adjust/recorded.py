"""How a recording's poses differ from what its images show: scale, a constant offset of the mount, time, and noise.

The images fix the cameras up to a similarity. Recorded poses are modelled as ``T_map_body = S T_map_camera(t + dt)
T_camera_body`` plus errors that are correlated in time: S is a similarity, T_camera_body a constant rigid offset
(identity where the recording is right about its mount) and dt the time by which the recorded poses are late.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.optimize import least_squares
from scipy.spatial.transform import Rotation

from transposenet_core.formats.runs import find_runs, frame_period
from transposenet_core.mapping.adjust.bundle import Cameras, PosePrior
from transposenet_core.mapping.adjust.correlated_errors import Chains, apart
from transposenet_core.scene import PosedImage

FEWEST_FRAMES = 10
SIGNIFICANT = 4.0  # sigma from which on an offset is believed
# Weak knowledge: sigma of the offset's position (of the positions' spread), its rotation, time and the log of scale.
LEVER_SIGMA, MOUNT_SIGMA, TIME_SIGMA, SCALE_SIGMA = 0.1, np.radians(5.0), 0.1, 0.1
SMALLEST_ROTATION = np.radians(0.03)
SMALLEST_POSITION = 5e-4  # of the positions' spread
# Offsets below these are not worth a word, and a principal point half a pixel off imitates them: position as a share of
# the positions' spread, rotation, seconds.
SMALLEST_LEVER, SMALLEST_MOUNT, SMALLEST_TIME = 2e-3, np.radians(0.2), 2e-3
HELD = 1e9  # weight of a parameter that stays where it is
UNCORRELATED = 0.1  # below this, residuals of neighbouring frames count as independent


@dataclass(frozen=True, eq=False)
class Recording:
    """Recorded poses of a scene's frames, their runs and stamps, and how far the positions spread (one sigma)."""

    cameras: Cameras
    runs: list[np.ndarray]
    stamp_N: np.ndarray

    @classmethod
    def of(cls, images: Sequence[PosedImage]) -> Recording:
        position_N3 = np.array([image.pose.position for image in images]).reshape(-1, 3)
        rotation_N33 = np.array([image.pose.rotation_33 for image in images]).reshape(-1, 3, 3)
        stamp_N = np.array([image.stamp for image in images], np.float64)
        return cls(Cameras(position_N3, rotation_N33), find_runs(images), stamp_N)

    @property
    def spread(self) -> float:
        """The root mean square distance of the positions from their median."""
        away_N3 = self.cameras.position_N3 - np.median(self.cameras.position_N3, axis=0)
        return float(np.sqrt((away_N3**2).sum(axis=1).mean()))


@dataclass(frozen=True, eq=False)
class RecordedModel:
    """``parameter_14``: rotation vector, translation and log scale of S; translation and rotation vector of
    ``T_camera_body``; dt in seconds. ``sigma_14`` are their standard deviations.

    ``position_sigma`` and ``rotation_sigma`` (radians) are the errors of one frame and axis, ``position_frames`` and
    ``rotation_frames`` over how many frames they are correlated; ``residual_N6`` position, then rotation vector.
    """

    parameter_14: np.ndarray
    sigma_14: np.ndarray
    position_sigma: float
    rotation_sigma: float
    position_frames: float
    rotation_frames: float
    residual_N6: np.ndarray

    @property
    def scale(self) -> float:
        return float(np.exp(self.parameter_14[6]))

    def significant(self, part: slice, smallest: float) -> bool:
        """Whether any parameter of a part differs from zero by SIGNIFICANT sigma, and by more than `smallest`."""
        size = np.abs(self.parameter_14[part])
        return bool(((size > SIGNIFICANT * self.sigma_14[part]) & (size > smallest)).any())


ROTATION, TRANSLATION, LOG_SCALE = slice(0, 3), slice(3, 6), slice(6, 7)
LEVER, MOUNT, TIME = slice(7, 10), slice(10, 13), slice(13, 14)


def velocities(cameras: Cameras, recording: Recording) -> tuple[np.ndarray, np.ndarray]:
    """Of each frame the velocity (N, 3) and rotation rate (N, 3) in the map frame, per second; 0 where time is not
    known or frames are missing."""
    linear_N3, angular_N3 = np.zeros_like(cameras.position_N3), np.zeros_like(cameras.position_N3)
    for run in recording.runs:
        period = frame_period(recording.stamp_N[run])
        if len(run) < 3 or period <= 0:
            continue
        before, after = run[np.r_[0, np.arange(len(run) - 1)]], run[np.r_[np.arange(1, len(run)), len(run) - 1]]
        seconds = recording.stamp_N[after] - recording.stamp_N[before]
        near = (seconds > 0) & (seconds < 6 * period)
        rotation = Rotation.from_matrix(cameras.rotation_N33[after] @ cameras.rotation_N33[before].transpose(0, 2, 1))
        per_second = np.where(near, 1 / np.where(near, seconds, 1), 0)[:, None]
        linear_N3[run] = (cameras.position_N3[after] - cameras.position_N3[before]) * per_second
        angular_N3[run] = rotation.as_rotvec() * per_second
    return linear_N3, angular_N3


def predicted(parameter_14: np.ndarray, cameras: Cameras, rates: tuple[np.ndarray, np.ndarray]) -> Cameras:
    """The poses that the recording should have of these cameras."""
    S_33 = Rotation.from_rotvec(parameter_14[ROTATION]).as_matrix()
    scale, dt = np.exp(parameter_14[6]), parameter_14[13]
    position_N3 = cameras.position_N3 + dt * rates[0]
    rotation_N33 = Rotation.from_rotvec(dt * rates[1]).as_matrix() @ cameras.rotation_N33
    body_N3 = scale * position_N3 @ S_33.T + parameter_14[TRANSLATION]
    rotated_N33 = S_33 @ rotation_N33
    mounted_N33 = rotated_N33 @ Rotation.from_rotvec(parameter_14[MOUNT]).as_matrix()
    return Cameras(body_N3 + rotated_N33 @ parameter_14[LEVER], mounted_N33)


def residuals(expected: Cameras, recorded: Cameras) -> np.ndarray:
    """Recorded minus expected: position, then rotation vector of ``R_recorded R_expected^T`` (N, 6)."""
    between = Rotation.from_matrix(recorded.rotation_N33 @ expected.rotation_N33.transpose(0, 2, 1))
    return np.hstack([recorded.position_N3 - expected.position_N3, between.as_rotvec()])


def fit(cameras: Cameras, recording: Recording, good_N: np.ndarray, spread: float) -> RecordedModel:
    """The model of the recording whose frames `good_N` the images have fixed, without what the data do not decide.

    With fewer than FEWEST_FRAMES of those, or positions that do not spread, nothing is estimated: identity.
    """
    free_14 = np.ones(14, bool)
    model = _fit(cameras, recording, good_N, spread, free_14, np.zeros(14))
    smallest = SMALLEST_LEVER * spread, SMALLEST_MOUNT, SMALLEST_TIME
    lever, mount, time = (
        model.significant(part, least) for part, least in zip((LEVER, MOUNT, TIME), smallest, strict=True)
    )
    # A mount is one thing: where its position is off, nothing says that its rotation is not.
    free_14[LEVER] = free_14[MOUNT] = lever or mount
    free_14[TIME] = time
    if free_14[7:].all():
        return model
    again = _fit(cameras, recording, good_N, spread, free_14, model.parameter_14)
    return replace(again, sigma_14=model.sigma_14)


def _fit(
    cameras: Cameras,
    recording: Recording,
    good_N: np.ndarray,
    spread: float,
    free_14: np.ndarray,
    start_14: np.ndarray,
) -> RecordedModel:
    rates = velocities(cameras, recording)
    sigma_2 = np.array([max(0.02 * spread, 1e-9), np.radians(1.0)])
    parameter_14, sigma_14 = np.where(free_14, start_14, 0), np.full(14, np.inf)
    if good_N.sum() < FEWEST_FRAMES or spread < 1e-9:
        residual_N6 = residuals(predicted(parameter_14, cameras, rates), recording.cameras)
        return RecordedModel(parameter_14, sigma_14, float(sigma_2[0]), float(sigma_2[1]), 1.0, 1.0, residual_N6)
    every = _Frames.of(cameras, recording, rates, good_N)
    apart_N = apart(cameras.position_N3, recording.runs, good_N, spread)
    steps = _Frames.of(cameras, recording, rates, apart_N) if apart_N.sum() >= FEWEST_FRAMES else every
    unit_14 = np.r_[[1e-3] * 3, [1e-3 * spread] * 3, 1e-3, [1e-3 * spread] * 3, [1e-3] * 3, 1e-3]
    weak_14 = np.r_[np.full(6, 1e-9), 1 / SCALE_SIGMA, [1 / (LEVER_SIGMA * spread)] * 3, [1 / MOUNT_SIGMA] * 3, 1]
    weak_14[13] = 1 / TIME_SIGMA
    weak_14[~free_14] = HELD
    smallest_2 = np.array([SMALLEST_POSITION * spread, SMALLEST_ROTATION])
    frames, weights = every, Weights((0.0, 0.0), sigma_2)
    for _ in range(4):
        found = frames.minimised(parameter_14, weights, weak_14, unit_14)
        parameter_14 = np.where(free_14, found.x, 0)
        kept_2 = steps.kept(parameter_14)
        frames = steps if any(kept_2) else every
        weights = Weights(kept_2, np.maximum(frames.sigmas(parameter_14, kept_2), smallest_2))
    columns = found.jac[:, free_14] * unit_14[free_14]
    variance = np.maximum(np.diag(np.linalg.pinv(columns.T @ columns, hermitian=True)), 0)
    sigma_14[free_14] = np.sqrt(variance) * unit_14[free_14]
    # Changes fix what the poses are off by in common; where the map is, their mean decides.
    weights = Weights((0.0, 0.0), np.maximum(every.sigmas(parameter_14, (0.0, 0.0)), smallest_2))
    only_14 = np.where(np.arange(14) < 6, 1e-9, HELD)
    parameter_14 = np.where(free_14, every.minimised(parameter_14, weights, only_14, unit_14).x, 0)
    residual_N6 = residuals(predicted(parameter_14, cameras, rates), recording.cameras)
    sigma_2 = np.maximum(every.sigmas(parameter_14, (0.0, 0.0)), smallest_2)
    frames_2 = [_correlated_frames(residual_N6[:, k : k + 3], recording.runs, good_N) for k in (0, 3)]
    sigmas = float(sigma_2[0]), float(sigma_2[1])
    return RecordedModel(parameter_14, sigma_14, *sigmas, frames_2[0], frames_2[1], residual_N6)


@dataclass(frozen=True, eq=False)
class Weights:
    """Of position and rotation: what is left of an error after a frame, and the sigma of what is new in one."""

    kept_2: tuple[float, float]
    sigma_2: np.ndarray


@dataclass(frozen=True, eq=False)
class _Frames:
    """Some frames of a recording, what the images fix of them, and how they follow each other."""

    cameras: Cameras
    recorded: Cameras
    rates: tuple[np.ndarray, np.ndarray]
    chains: Chains

    @classmethod
    def of(
        cls, cameras: Cameras, recording: Recording, rates: tuple[np.ndarray, np.ndarray], chosen_N: np.ndarray
    ) -> _Frames:
        fixed, stated = (
            Cameras(c.position_N3[chosen_N], c.rotation_N33[chosen_N]) for c in (cameras, recording.cameras)
        )
        chains = Chains.of(recording.runs, recording.stamp_N, chosen_N)
        return cls(fixed, stated, (rates[0][chosen_N], rates[1][chosen_N]), chains)

    def innovations(self, parameter_14: np.ndarray, kept_2: tuple[float, float]) -> list[np.ndarray]:
        """What is new in the residuals of position and of rotation, each (K, 3)."""
        residual_K6 = residuals(predicted(parameter_14, self.cameras, self.rates), self.recorded)
        halves = (residual_K6[:, :3], residual_K6[:, 3:])
        return [self.chains.innovations(half, kept) for half, kept in zip(halves, kept_2, strict=True)]

    def kept(self, parameter_14: np.ndarray) -> tuple[float, float]:
        position_K3, rotation_K3 = self.innovations(parameter_14, (0.0, 0.0))
        return self.chains.most_likely(position_K3), self.chains.most_likely(rotation_K3)

    def sigmas(self, parameter_14: np.ndarray, kept_2: tuple[float, float]) -> np.ndarray:
        return np.array([_robust_sigma(new_K3) for new_K3 in self.innovations(parameter_14, kept_2)])

    def minimised(self, start_14: np.ndarray, weights: Weights, pull_14: np.ndarray, unit_14: np.ndarray) -> Any:
        """Least squares from `start_14`; `pull_14` towards 0, or where it is HELD, towards the start."""
        at_14 = np.where(pull_14 >= HELD, start_14, 0)

        def cost(parameter_14: np.ndarray) -> np.ndarray:
            halves = self.innovations(parameter_14, weights.kept_2)
            parts = [half / sigma for half, sigma in zip(halves, weights.sigma_2, strict=True)]
            return np.r_[np.hstack(parts).ravel(), pull_14 * (parameter_14 - at_14)]

        return least_squares(cost, start_14, x_scale=unit_14, loss="soft_l1", f_scale=2.0, xtol=1e-6, max_nfev=15)


def prior_of(model: RecordedModel, cameras: Cameras, recording: Recording, covariance_N66: np.ndarray) -> PosePrior:
    """Where the recording, corrected for offset and time, expects the cameras, in the map frame of the recording.

    `cameras` are in that frame already: S does not count.
    """
    only = model.parameter_14.copy()
    only[:7] = 0
    rates = velocities(cameras, recording)
    mount_33 = Rotation.from_rotvec(only[MOUNT]).as_matrix()
    rotation_N33 = recording.cameras.rotation_N33 @ mount_33.T
    position_N3 = recording.cameras.position_N3 - rotation_N33 @ only[LEVER]
    back_N33 = Rotation.from_rotvec(-only[13] * rates[1]).as_matrix()
    return PosePrior(Cameras(position_N3 - only[13] * rates[0], back_N33 @ rotation_N33), covariance_N66)


def in_the_recordings_frame(parameter_14: np.ndarray, cameras: Cameras) -> Cameras:
    """Cameras moved by S, with its scale."""
    S_33 = Rotation.from_rotvec(parameter_14[ROTATION]).as_matrix()
    position_N3 = np.exp(parameter_14[6]) * cameras.position_N3 @ S_33.T + parameter_14[TRANSLATION]
    return Cameras(position_N3, S_33 @ cameras.rotation_N33)


def _robust_sigma(residual_N3: np.ndarray) -> float:
    """Of one axis, from the median length of vectors whose components are alike."""
    return float(np.median(np.linalg.norm(residual_N3, axis=1)) / 1.538)


def _correlated_frames(residual_N3: np.ndarray, runs: list[np.ndarray], good_N: np.ndarray) -> float:
    """Over how many frames an error lasts: 1 + 2 sum of the autocorrelation, until it is below UNCORRELATED."""
    limit = 3 * np.median(np.linalg.norm(residual_N3[good_N], axis=1)) + 1e-12
    clipped_N3 = residual_N3 * np.minimum(1, limit / np.maximum(np.linalg.norm(residual_N3, axis=1), 1e-12))[:, None]
    usable_N = good_N[:, None]
    clipped_N3 = np.where(usable_N, clipped_N3, 0)
    power = (clipped_N3**2).sum() / max(good_N.sum(), 1)
    frames = 1.0
    longest = max((len(run) for run in runs), default=1)
    for lag in range(1, longest):
        pairs = [(run[:-lag], run[lag:]) for run in runs if len(run) > lag]
        count = sum(int((good_N[a] & good_N[b]).sum()) for a, b in pairs)
        if count < 5:
            break
        correlation = sum(float((clipped_N3[a] * clipped_N3[b]).sum()) for a, b in pairs) / count / max(power, 1e-30)
        if correlation < UNCORRELATED:
            break
        frames += 2 * correlation
    return frames

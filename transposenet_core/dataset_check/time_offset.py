"""The time offset between images and poses, from their rotation speeds.

A rotation is the same for the camera and the base and in any convention, so its speed is a signal that both have. It is
correlated over many offsets of the poses' clock. The rotation between two images is fitted to the motion of corners
(Lucas and Kanade 1981) by the rotational part of the optical flow (Longuet-Higgins and Prazdny 1980).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from scipy.spatial.transform import Rotation, Slerp

from transposenet_core.dataset_check.offset_peak import LEAST_GAIN_SIGMAS, LEAST_SIGMAS, OffsetSpeeds
from transposenet_core.errors import UserError
from transposenet_core.formats.numbers import FASTEST_HZ, stamp_unit
from transposenet_core.geometry.pose import Pose, stack
from transposenet_core.image_files import read_image
from transposenet_core.scene import PosedImage

MAX_OFFSET = 0.5
WIDTH = 160
CORNERS, FEWEST_CORNERS = 80, 12
# A usual lens; only the mix of yaw and roll depends on it, because a correlation has no scale.
FOCAL_WIDTHS = 0.8
FIT_ROUNDS = 4
FEWEST_ROTATIONS = 30
LEAST_ROTATION_DEG = 0.1  # standard deviation between neighbouring images: a hundredth of that is noise
LEAST_CORRELATION = 0.5
MAX_SIGMA_FRAMES = 3.0  # of a peak that is known so badly nothing follows, not even that there is no offset
SUBSTEPS = 4
MOST_IMAGES = 600


@dataclass(frozen=True)
class TimeOffset:
    """An image stamped `t` belongs to the pose stamped `t + seconds`; None where it is unknown, see `why`.

    ``seconds`` is 0 unless the speeds agree clearly better elsewhere. ``peak`` is where they agree best,
    ``correlation`` that of the two speeds there, ``sigma`` the standard error of ``peak``; ``period`` is the time
    between two images; all in seconds.
    """

    seconds: float | None
    correlation: float
    sigma: float
    rotations: int
    why: str
    peak: float = 0.0
    period: float = 0.0

    def sentence(self, unit: str = "s") -> str:
        """The offset in words, with its figures; in frames where `unit` says that the images carry no time."""
        if self.seconds is None:
            return f"the time offset between images and poses is unknown: {self.why}"
        each, name, digits = (self.period or 1.0, "frames", 1) if unit == "frames" else (1e-3, "ms", 0)
        best = f"{self.peak / each:+.{digits}f} {name} (+- {self.sigma / each:.{digits}f})"
        evidence = f"correlation {self.correlation:.2f} over {self.rotations} pairs of neighbouring images"
        if self.seconds == 0:
            return f"none between images and poses: they agree best at {best}, which is not clearly better ({evidence})"
        return f"the poses' stamps are {best} from the images' ({evidence})"

    def to_dict(self, unit: str = "s") -> dict:
        """For JSON: in seconds, or in frames where `unit` says that the images carry no time."""
        known, each = self.seconds is not None, (self.period or 1.0) if unit == "frames" else 1.0
        names = ("frames", "peak_frames", "sigma_frames") if unit == "frames" else ("seconds", "peak_s", "sigma_s")
        values = (self.seconds, self.peak, self.sigma)
        found = {
            n: value / each if known and value is not None else None for n, value in zip(names, values, strict=True)
        }
        return found | {"correlation": self.correlation, "rotations": self.rotations, "why": self.why}


def estimate_time_offset(
    image_times_N: np.ndarray,
    images: Iterable[np.ndarray] | np.ndarray,
    pose_times_P: np.ndarray,
    poses: list[Pose],
    max_offset: float = MAX_OFFSET,
) -> TimeOffset:
    """How much later than the images' clock the poses' clock is, within `max_offset` seconds either way.

    `images` are the N images (H, W[, 3]) in the order of their stamps, or the N - 1 rotations between them in radians
    (NaN where unknown, see `rotations_between`). Stamps are in seconds; those of the poses may be in any order.
    """
    times_N = np.asarray(image_times_N, np.float64)
    given = isinstance(images, np.ndarray) and images.ndim == 1
    rotations_M = np.asarray(images, np.float64) if given else rotations_between(images)
    if len(rotations_M) != max(len(times_N) - 1, 0) or len(pose_times_P) != len(poses):
        raise ValueError(
            f"{len(times_N)} stamps for {len(rotations_M)} rotations, {len(pose_times_P)} for {len(poses)} poses"
        )
    step_M = np.diff(times_N)
    usual = float(np.median(step_M)) if len(step_M) else 0.0
    used_M = np.isfinite(rotations_M) & (step_M > 0) & (step_M < 2.5 * usual)
    if used_M.sum() < FEWEST_ROTATIONS or len(poses) < 3:
        return _unknown(
            f"only {used_M.sum()} pairs of neighbouring images can be compared, {FEWEST_ROTATIONS} are needed"
        )
    if usual < 1 / FASTEST_HZ:  # a search in steps of a frame would have no end
        return _unknown(f"the images are {usual:.3g} s apart: their stamps are probably in {stamp_unit(usual)}")
    start_M, end_M, rotations_M = times_N[:-1][used_M], times_N[1:][used_M], rotations_M[used_M]
    if np.degrees(rotations_M.std()) < LEAST_ROTATION_DEG:
        return _unknown("the images hardly rotate, or always at one speed")
    pose_times, first_of = np.unique(np.asarray(pose_times_P, np.float64), return_index=True)
    rotation_at = Slerp(pose_times, Rotation.from_quat(stack(poses)[1][first_of], scalar_first=True))
    seen_M, around = rotations_M / (end_M - start_M), int(np.ceil(max_offset / usual * SUBSTEPS))
    offsets_S = np.arange(-around, around + 1) * usual / SUBSTEPS
    return _stated(_offset_speeds(rotation_at, start_M, end_M, seen_M, offsets_S), usual)


def rotations_between(images: Iterable[np.ndarray]) -> np.ndarray:
    """Rotations (N - 1,) in radians between N images (H, W[, 3]) uint8; NaN where too few corners are tracked."""
    rotations, before_HW = [], None
    for image in images:
        grey_HW = image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
        height = max(16, round(WIDTH * grey_HW.shape[0] / grey_HW.shape[1]))
        grey_HW = cv2.resize(grey_HW, (WIDTH, height), interpolation=cv2.INTER_AREA)
        if before_HW is not None:
            rotations.append(_rotation(before_HW, grey_HW))
        before_HW = grey_HW
    return np.array(rotations)


def sequence_time_offset(images: list[PosedImage], max_offset: float = MAX_OFFSET) -> TimeOffset:
    """The same for a sequence of a scene, over its first MOST_IMAGES images in the order of their stamps."""
    frames = sorted(images, key=lambda image: image.stamp)[:MOST_IMAGES]
    stamps_N = np.array([frame.stamp for frame in frames])
    rotations_M = rotations_between(_images(frames))
    return estimate_time_offset(stamps_N, rotations_M, stamps_N, [frame.pose for frame in frames], max_offset)


def _images(frames: list[PosedImage]) -> Iterator[np.ndarray]:
    for frame in frames:
        try:
            yield read_image(frame.path)
        except UserError:  # listed by name elsewhere in the check; nothing can be tracked in it
            yield np.zeros((WIDTH, WIDTH), np.uint8)


def _rotation(before_HW: np.ndarray, after_HW: np.ndarray) -> float:
    """The angle in radians of the rotation that explains the motion of most corners; NaN for too few."""
    corners = cv2.goodFeaturesToTrack(before_HW, CORNERS, 0.01, 6)
    if corners is None or len(corners) < FEWEST_CORNERS or before_HW.shape != after_HW.shape:
        return np.nan
    moved, found, _ = cv2.calcOpticalFlowPyrLK(
        before_HW, after_HW, corners, corners.copy(), winSize=(15, 15), maxLevel=3
    )
    kept_N = found.ravel() == 1
    if kept_N.sum() < FEWEST_CORNERS:
        return np.nan
    focal, middle = FOCAL_WIDTHS * WIDTH, (np.array(before_HW.shape[::-1]) - 1) / 2
    x, y = ((corners.reshape(-1, 2)[kept_N] - middle) / focal).T
    flow_N2 = (moved - corners).reshape(-1, 2)[kept_N] / focal
    # Flow of a point of the plane z = 1 under a small rotation of the camera about its x, y and z axes.
    per_axis_N23 = np.stack([np.stack([x * y, -1 - x * x, y], -1), np.stack([1 + y * y, -x * y, -x], -1)], axis=1)
    weights_N = np.ones(len(x))
    for _ in range(FIT_ROUNDS):
        root_N = np.sqrt(weights_N)[:, None]
        left = (per_axis_N23 * root_N[:, :, None]).reshape(-1, 3)
        omega_3 = np.linalg.lstsq(left, (flow_N2 * root_N).ravel(), rcond=None)[0]
        error_N = np.linalg.norm(flow_N2 - per_axis_N23 @ omega_3, axis=1)
        weights_N = 1 / (1 + (error_N / max(float(np.median(error_N)), 1e-6)) ** 2)
    return float(np.linalg.norm(omega_3))


def _offset_speeds(
    rotation_at: Slerp, start_M: np.ndarray, end_M: np.ndarray, seen_M: np.ndarray, offsets_S: np.ndarray
) -> OffsetSpeeds:
    """The poses' speeds over the given intervals at every offset."""
    speeds_SM = np.full((len(offsets_S), len(seen_M)), np.nan)
    for speeds_M, offset in zip(speeds_SM, offsets_S, strict=True):
        inside_M = (start_M + offset >= rotation_at.times[0]) & (end_M + offset <= rotation_at.times[-1])
        if inside_M.any():
            start, end = start_M[inside_M] + offset, end_M[inside_M] + offset
            speeds_M[inside_M] = (rotation_at(start).inv() * rotation_at(end)).magnitude() / (end - start)
    return OffsetSpeeds(offsets_S, speeds_SM, seen_M, FEWEST_ROTATIONS, SUBSTEPS)


def _stated(speeds: OffsetSpeeds, period: float) -> TimeOffset:
    """The best offset where its peak is clearly above offset 0, else 0 if that fits as well, or why it is unknown."""
    correlation_S, k, rotations = speeds.correlation_S, speeds.best, len(speeds.seen_M)
    if not np.isfinite(correlation_S).any():
        return _unknown("the poses' stamps do not overlap with the images'")
    best = float(correlation_S[k])
    if best < LEAST_CORRELATION:
        return _unknown(f"the two speeds correlate by {best:.2f} at most, {LEAST_CORRELATION} are needed", best)
    if not 0 < k < len(correlation_S) - 1 or not np.isfinite(correlation_S[k - 1 : k + 2]).all():
        return _unknown("the speeds agree best at the end of the search", best)
    if speeds.has_rival():
        return _unknown("the motion repeats itself: several offsets fit as well", best)
    peak = speeds.peak()
    if peak is None:
        return _unknown("the speeds' correlation has no peak", best)
    offset, sigma = peak
    if abs(offset) > LEAST_SIGMAS * sigma and speeds.gain_sigmas() > LEAST_GAIN_SIGMAS:
        return TimeOffset(offset, best, sigma, rotations, "", offset, period)
    if abs(offset) <= period and sigma < MAX_SIGMA_FRAMES * period:
        return TimeOffset(0.0, best, sigma, rotations, "", offset, period)
    return _unknown("no offset stands out: at 0 the speeds agree nearly as well", best)


def _unknown(why: str, correlation: float = 0.0) -> TimeOffset:
    return TimeOffset(None, correlation, float("inf"), 0, why)

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

from transposenet_core.errors import UserError
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
# If the correlation at another offset comes this near to the best, the offset is ambiguous (periodic motion).
RIVAL = 0.97
SUBSTEPS = 4
MOST_IMAGES = 600


@dataclass(frozen=True)
class TimeOffset:
    """An image stamped `t` belongs to the pose stamped `t + seconds`; None where it is unknown, see `why`.

    ``correlation`` is that of the two speeds at the best offset, ``sigma`` the standard error of `seconds`.
    """

    seconds: float | None
    correlation: float
    sigma: float
    rotations: int
    why: str

    def sentence(self) -> str:
        """The offset in words, with its figures."""
        if self.seconds is None:
            return f"the time offset between images and poses is unknown: {self.why}"
        return (
            f"the poses' stamps are {1000 * self.seconds:+.0f} ms (+- {1000 * self.sigma:.0f}) from the images' "
            f"(correlation {self.correlation:.2f} over {self.rotations} pairs of neighbouring images)"
        )


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
    start_M, end_M, rotations_M = times_N[:-1][used_M], times_N[1:][used_M], rotations_M[used_M]
    if np.degrees(rotations_M.std()) < LEAST_ROTATION_DEG:
        return _unknown("the images hardly rotate, or always at one speed")
    pose_times, first_of = np.unique(np.asarray(pose_times_P, np.float64), return_index=True)
    rotation_at = Slerp(pose_times, Rotation.from_quat(stack(poses)[1][first_of], scalar_first=True))
    seen_M, around = rotations_M / (end_M - start_M), int(np.ceil(max_offset / usual * SUBSTEPS))
    offsets_S = np.arange(-around, around + 1) * usual / SUBSTEPS
    correlation_S = np.array([_correlation(rotation_at, start_M + s, end_M + s, seen_M) for s in offsets_S])
    return _peak(offsets_S, correlation_S, len(seen_M))


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


def _correlation(rotation_at: Slerp, start_M: np.ndarray, end_M: np.ndarray, seen_M: np.ndarray) -> float:
    """Correlation of the poses' speeds over the given intervals with the images'; NaN where they hardly overlap."""
    inside_M = (start_M >= rotation_at.times[0]) & (end_M <= rotation_at.times[-1])
    if inside_M.sum() < max(FEWEST_ROTATIONS, 0.5 * len(seen_M)):
        return np.nan
    start, end = start_M[inside_M], end_M[inside_M]
    speed_K = (rotation_at(start).inv() * rotation_at(end)).magnitude() / (end - start)
    if speed_K.std() < 1e-9 or seen_M[inside_M].std() < 1e-9:
        return 0.0
    return float(np.corrcoef(speed_K, seen_M[inside_M])[0, 1])


def _peak(offsets_S: np.ndarray, correlation_S: np.ndarray, rotations: int) -> TimeOffset:
    """The best offset, between the samples by a parabola, or why there is none."""
    if not np.isfinite(correlation_S).any():
        return _unknown("the poses' stamps do not overlap with the images'")
    known_S = np.nan_to_num(correlation_S, nan=-1.0)
    k = int(known_S.argmax())
    best = float(known_S[k])
    if best < LEAST_CORRELATION:
        return _unknown(f"the two speeds correlate by {best:.2f} at most, {LEAST_CORRELATION} are needed", best)
    if not 0 < k < len(known_S) - 1 or not np.isfinite(correlation_S[k - 1 : k + 2]).all():
        return _unknown(f"the speeds agree best at the end of the search ({offsets_S[k]:+.2f} s)", best)
    hills = (known_S[1:-1] >= known_S[:-2]) & (known_S[1:-1] >= known_S[2:]) & (known_S[1:-1] > RIVAL * best)
    if (np.abs(offsets_S[1:-1][hills] - offsets_S[k]) > 2 * SUBSTEPS * (offsets_S[1] - offsets_S[0])).any():
        return _unknown("the motion is periodic: several offsets fit equally well", best)
    # Over a frame either side: interpolated poses make the curve jagged between the frames.
    near = slice(max(0, k - SUBSTEPS), k + SUBSTEPS + 1)
    known = np.isfinite(correlation_S[near])
    bend, slope, _ = np.polyfit(offsets_S[near][known] - offsets_S[k], correlation_S[near][known], 2)
    if bend >= 0:
        return _unknown("the speeds' correlation has no peak", best)
    step = float(np.clip(-slope / (2 * bend), -(w := SUBSTEPS * (offsets_S[1] - offsets_S[0])), w))
    sigma = float(np.sqrt((1 - best**2) / (rotations * -2 * bend * best)))
    return TimeOffset(float(offsets_S[k]) + step, best, sigma, rotations, "")


def _unknown(why: str, correlation: float = 0.0) -> TimeOffset:
    return TimeOffset(None, correlation, float("inf"), 0, why)

"""At which clock offset the rotation speeds of images and poses agree best, and whether clearly better than at 0.

A correlation always has a maximum. Two measures tell whether it is a peak: how far it moves when a part of the
recording is left out (jackknife, Efron 1982), and whether the poses explain the images' speeds better there than at
offset 0 in most parts of the recording, not in one.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

PARTS = 8
# On windows of 100 images and more of three recordings without an offset, no peak elsewhere passes both limits.
LEAST_SIGMAS, LEAST_GAIN_SIGMAS = 3.0, 1.5
# If the correlation at another offset comes this near to the best, the offset is ambiguous (periodic motion).
RIVAL = 0.97


@dataclass(frozen=True, eq=False)
class OffsetSpeeds:
    """``speeds_SM``: the poses' rotation speed at each of the offsets ``offsets_S`` in seconds (ascending, evenly
    spaced, ``substeps`` per frame) over each of M intervals between images, NaN where there are no poses. ``seen_M`` is
    that of the images. A correlation needs at least ``fewest`` intervals."""

    offsets_S: np.ndarray
    speeds_SM: np.ndarray
    seen_M: np.ndarray
    fewest: int
    substeps: int

    @cached_property
    def correlation_S(self) -> np.ndarray:
        """Of both speeds at every offset; NaN where they hardly overlap."""
        return self._correlation(np.ones(len(self.seen_M), bool))

    @cached_property
    def _parts(self) -> list[np.ndarray]:
        return np.array_split(np.arange(len(self.seen_M)), PARTS)

    @property
    def best(self) -> int:
        return int(np.nan_to_num(self.correlation_S, nan=-1.0).argmax())

    @property
    def zero(self) -> int:
        """The index of offset 0."""
        return int(np.abs(self.offsets_S).argmin())

    def has_rival(self) -> bool:
        """Whether another offset, more than two frames away, fits as well as the best."""
        known_S, best = np.nan_to_num(self.correlation_S, nan=-1.0), self.best
        hills = (known_S[1:-1] >= known_S[:-2]) & (known_S[1:-1] >= known_S[2:])
        hills &= known_S[1:-1] > RIVAL * known_S[best]
        frame = self.substeps * (self.offsets_S[1] - self.offsets_S[0])
        return bool((np.abs(self.offsets_S[1:-1][hills] - self.offsets_S[best]) > 2 * frame).any())

    def peak(self) -> tuple[float, float] | None:
        """The best offset, between the samples by a parabola, and its standard error; None where there is no peak."""
        found = self._parabola(self.correlation_S)
        if found is None:
            return None
        offset, bend = found
        best = float(self.correlation_S[self.best])
        sigma = float(np.sqrt((1 - best**2) / (len(self.seen_M) * -2 * bend * best)))
        return offset, max(sigma, self._jackknife())

    def gain_sigmas(self) -> float:
        """By how many standard errors the poses explain the images' speeds better at the best offset than at 0: the
        difference of a line's squared residuals, part by part."""
        best_M, zero_M = self.speeds_SM[self.best], self.speeds_SM[self.zero]
        both_M = np.isfinite(best_M) & np.isfinite(zero_M)
        if both_M.sum() < self.fewest:
            return np.inf  # at offset 0 there are no poses to compare with
        left_K = [_residuals(speeds_M[both_M], self.seen_M[both_M]) for speeds_M in (zero_M, best_M)]
        gain_P = np.array([part.mean() for part in np.array_split(left_K[0] - left_K[1], PARTS)])
        return float(gain_P.mean() / max(gain_P.std(ddof=1) / np.sqrt(PARTS), 1e-15))

    def _jackknife(self) -> float:
        """The standard error of the best offset, from those found with one part after the other left out."""
        found = []
        for part in self._parts:
            used_M = np.ones(len(self.seen_M), bool)
            used_M[part] = False
            correlation_S = self._correlation(used_M)
            if not np.isfinite(correlation_S).any():
                return np.inf
            peak = self._parabola(correlation_S)
            found.append(peak[0] if peak else float(self.offsets_S[np.nanargmax(correlation_S)]))
        return float(np.sqrt((PARTS - 1) * np.var(found)))

    def _correlation(self, used_M: np.ndarray) -> np.ndarray:
        speeds_SM, seen_M = self.speeds_SM[:, used_M], self.seen_M[used_M]
        known_SM = np.isfinite(speeds_SM)
        count_S = known_SM.sum(axis=1)
        share = used_M.sum() / len(used_M)
        enough_S = count_S >= max(self.fewest * share, 0.5 * len(seen_M))
        some_S = np.maximum(count_S, 1)
        a_SM = np.where(known_SM, speeds_SM, 0.0)
        a_SM = np.where(known_SM, a_SM - (a_SM.sum(axis=1) / some_S)[:, None], 0.0)
        b_SM = np.where(known_SM, seen_M - ((known_SM * seen_M).sum(axis=1) / some_S)[:, None], 0.0)
        spread_S = np.sqrt((a_SM**2).sum(axis=1) * (b_SM**2).sum(axis=1))
        flat_S = spread_S < 1e-18 * some_S  # no rotation, or always at one speed
        correlation_S = np.where(flat_S, 0.0, (a_SM * b_SM).sum(axis=1) / np.where(flat_S, 1.0, spread_S))
        return np.where(enough_S, correlation_S, np.nan)

    def _parabola(self, correlation_S: np.ndarray) -> tuple[float, float] | None:
        """Top and curvature over a frame either side of the best sample: interpolated poses make the curve jagged
        between the frames. None where the best is at the end, or there is no top."""
        k = int(np.nan_to_num(correlation_S, nan=-1.0).argmax())
        if not 0 < k < len(correlation_S) - 1 or not np.isfinite(correlation_S[k - 1 : k + 2]).all():
            return None
        near = slice(max(0, k - self.substeps), k + self.substeps + 1)
        known = np.isfinite(correlation_S[near])
        bend, slope, _ = np.polyfit(self.offsets_S[near][known] - self.offsets_S[k], correlation_S[near][known], 2)
        if bend >= 0:
            return None
        frame = self.substeps * (self.offsets_S[1] - self.offsets_S[0])
        return float(self.offsets_S[k] + np.clip(-slope / (2 * bend), -frame, frame)), float(bend)


def _residuals(x_M: np.ndarray, y_M: np.ndarray) -> np.ndarray:
    """Squared, of the line through x and y."""
    A_M2 = np.column_stack([x_M, np.ones_like(x_M)])
    return (y_M - A_M2 @ np.linalg.lstsq(A_M2, y_M, rcond=None)[0]) ** 2

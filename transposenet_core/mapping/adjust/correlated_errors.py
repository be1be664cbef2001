"""Errors that last: a recording's residuals as first-order autoregressive processes in time, one for each run.

An error that stays for seconds says the same thing many times. What the poses change by from frame to frame is free of
it: a scale, a mount or a clock that is off shows there far better than in the positions themselves. Generalised least
squares weighs both (Cochrane and Orcutt, "Application of least squares regression to relationships containing
auto-correlated error terms", 1949).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from transposenet_core.formats.runs import frame_period

# What is left of an error after one frame.
KEPT = np.r_[0.0, 0.3, 0.5, 0.65, 0.75, 0.82, 0.87, 0.9, 0.93, 0.95, 0.965, 0.975, 0.983, 0.99, 0.995, 0.998]
FARTHER = 0.1  # of the positions' spread: between frames nearer than this, the noise of what images fix counts too
OUTLIER = 4.0  # robust sigma beyond which an innovation counts no more


@dataclass(frozen=True, eq=False)
class Chains:
    """Of K frames the place of the one before (K,), -1 at the beginning of a run, and how many frame times ago it was
    taken (K,)."""

    before_K: np.ndarray
    gap_K: np.ndarray

    @classmethod
    def of(cls, runs: Sequence[np.ndarray], stamp_N: np.ndarray, good_N: np.ndarray) -> Chains:
        """Of the frames ``good_N``, in the order of the recording; `runs` are those of all frames."""
        place_N = np.cumsum(good_N) - 1
        before_K, gap_K = np.full(int(good_N.sum()), -1), np.ones(int(good_N.sum()))
        for run in runs:
            period = frame_period(stamp_N[run])
            kept = np.flatnonzero(good_N[run])
            here, earlier = run[kept[1:]], run[kept[:-1]]
            before_K[place_N[here]] = place_N[earlier]
            frames = np.diff(kept).astype(float)
            gap_K[place_N[here]] = np.maximum((stamp_N[here] - stamp_N[earlier]) / period, 1) if period > 0 else frames
        return cls(before_K, gap_K)

    def innovations(self, residual_K3: np.ndarray, kept: float) -> np.ndarray:
        """What is new in each residual (K, 3), all with the variance of the residuals themselves."""
        share_K = np.where(self.before_K < 0, 0.0, kept**self.gap_K)[:, None]
        return (residual_K3 - share_K * residual_K3[self.before_K]) / np.sqrt(1 - share_K**2)

    def most_likely(self, residual_K3: np.ndarray) -> float:
        """The one of KEPT that explains the residuals best (Gaussian innovations without outliers)."""
        scores = []
        for kept in KEPT:
            share_K = np.where(self.before_K < 0, 0.0, kept**self.gap_K)
            size_K = (self.innovations(residual_K3, kept) ** 2).sum(axis=1)
            variance = float(np.median(size_K)) / 2.366  # of one axis: the median of chi-square with 3 degrees
            clipped_K = np.minimum(size_K / max(variance, 1e-300), OUTLIER**2 * 3)
            spread = 3 * len(size_K) * np.log(max(variance, 1e-300))
            scores.append(0.5 * (clipped_K.sum() + spread) + 1.5 * np.log(1 - share_K**2).sum())
        return float(KEPT[int(np.argmin(scores))])


def apart(position_N3: np.ndarray, runs: Sequence[np.ndarray], good_N: np.ndarray, spread: float) -> np.ndarray:
    """Of the frames ``good_N`` those (N,) bool that are FARTHER from the one before in their run.

    The images place cameras to a few millimetres. Beside a step as small as that, a regression on it would find too
    small a scale (regression dilution).
    """
    chosen_N = np.zeros(len(good_N), bool)
    for run in runs:
        last_3 = None
        for n in run[good_N[run]]:
            if last_3 is None or np.linalg.norm(position_N3[n] - last_3) >= FARTHER * spread:
                chosen_N[n], last_3 = True, position_N3[n]
    return chosen_N

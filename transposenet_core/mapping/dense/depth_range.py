"""Which depths are tried for a frame: from its own sparse points, so that a railing and the city behind it both fit."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

NEAR_FACTOR, FAR_FACTOR = 0.7, 1.3  # beyond the 1st and 99th percentile of the sparse points
PERCENTILES = (1, 99)
ROOM = 8.0  # far over near, up to which planes in even steps of inverse depth do
RELATIVE_STEP = 0.03  # of the depth, wanted where the range is wider than a room


@dataclass(frozen=True, eq=False)
class DepthPlanes:
    """``depth_D`` (D,) float64 from near to far, in even steps of ``depth ** -power``.

    A power of 1 is inverse depth: even steps in the image. Over a wide range that leaves nothing for what is far, and
    the power falls towards 0 (logarithmic) with the width of the range.
    """

    depth_D: np.ndarray
    power: float

    @classmethod
    def of_points(cls, depth_K: np.ndarray, least: int, most: int) -> DepthPlanes:
        """The planes for a frame whose points have these depths (K,), all above 0."""
        nearest, farthest = np.percentile(depth_K, PERCENTILES)
        return cls.between(NEAR_FACTOR * nearest, FAR_FACTOR * farthest, least, most)

    @classmethod
    def between(cls, near: float, far: float, least: int, most: int) -> DepthPlanes:
        """`least` planes in a room, up to `most` over a wider range. ValueError where near is not below far."""
        if not 0 < near < far < math.inf:
            raise ValueError(f"no range of depths: {near} to {far}")
        width = math.log(far / near)
        count = int(np.clip(math.ceil(width / RELATIVE_STEP), least, most))
        power = min(1.0, math.log(ROOM) / width)
        steps_D = np.linspace(near**-power, far**-power, count)
        return cls(steps_D ** (-1 / power), power)

    def at(self, index: np.ndarray) -> np.ndarray:
        """Depths at indices that need not be whole."""
        first, last = self.depth_D[0] ** -self.power, self.depth_D[-1] ** -self.power
        return (first + (last - first) / (len(self.depth_D) - 1) * index) ** (-1 / self.power)

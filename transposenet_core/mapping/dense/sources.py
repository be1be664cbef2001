"""Which frames a frame is compared with: by parallax, overlap and scale of the points of the sparse map.

The measure is that of MVSNet's view selection (Yao et al. 2018, section 4.1), point by point: a place with a railing
and a city behind needs near neighbours for the one and far neighbours for the other.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from transposenet_core.geometry.intrinsics import Intrinsics
from transposenet_core.mapping.dense.covisibility import Covisibility
from transposenet_core.mapping.dense.options import DenseOptions
from transposenet_core.mapping.sparse_map import SparseMap

MOST_POINTS = 128  # of a frame, that its neighbours are chosen by
LEAST_SHARED = 6
PARALLAX_SPREAD, SCALE_SPREAD = 0.6, 0.4  # of the logarithms of parallax and scale
ENOUGH = 2.5  # good sources for one point; what comes on top counts no more
NEAR_PARALLAX_DEG = 2.0  # of a tenth of the points
PARTNER_PARALLAX_DEG = 3.0  # frames whose depths are compared may be nearer: what counts is that both see the point


@dataclass(frozen=True, eq=False)
class Neighbours:
    """``sources`` and ``partners`` (frame numbers) of a frame, the median parallax of its sources, or the ``reason``
    why it has none."""

    sources: tuple[int, ...]
    partners: tuple[int, ...]
    parallax_deg: float
    reason: str = ""


class NeighbourChoice:
    """Chooses the neighbours of each frame; ``pinhole`` are the rectified intrinsics of its images."""

    def __init__(self, sparse: SparseMap, pinhole: Intrinsics, options: DenseOptions) -> None:
        self._sparse, self._pinhole, self._options = sparse, pinhole, options
        self._covisibility = Covisibility(sparse)
        self._position_F3 = np.array([f.T_map_camera.position for f in sparse.frames]).reshape(-1, 3)
        self._rotation_F33 = np.array([f.T_map_camera.rotation_33 for f in sparse.frames]).reshape(-1, 3, 3)

    def of(self, frame: int) -> Neighbours:
        """The sources and partners of a frame, the best first."""
        options, mapped = self._options, self._sparse.frames[frame]
        depth_K = self._sparse.depths(mapped)
        point_K = mapped.point_K[depth_K > 0]
        if len(point_K) < options.least_points:
            return Neighbours((), (), 0.0, f"it sees {len(point_K)} points of the map, too few")
        point_K = point_K[np.linspace(0, len(point_K) - 1, min(MOST_POINTS, len(point_K))).astype(int)]
        others_N = self._covisibility.neighbours(frame, LEAST_SHARED)
        if not len(others_N):
            return Neighbours((), (), 0.0, "no other frame sees the points that it sees")
        seen_NK, parallax_NK, weight_NK = self._geometry(frame, point_K, others_N)
        median_N, largest_N = _quantile(parallax_NK, seen_NK, 0.5), _quantile(parallax_NK, seen_NK, 0.9)
        # Points near and far: a railing may have parallax where the median, a city behind it, has none.
        apart_N = (median_N >= options.least_parallax_deg) | (largest_N >= NEAR_PARALLAX_DEG)
        if not apart_N.any():
            largest = f"at most {median_N.max():.1f} deg of parallax"
            return Neighbours((), (), float(median_N.max()), f"the camera stands or only turns there ({largest})")
        position_N3 = self._position_F3[others_N]
        best = options.best_parallax_deg
        sources = self._greedy(
            frame, position_N3, np.where(apart_N[:, None], weight_NK * _near(parallax_NK, best), 0), options.sources
        )
        if not sources:
            reason = f"others see its points from too far beside or at another scale ({median_N.max():.0f} deg)"
            return Neighbours((), (), float(median_N.max()), reason)
        partners = self._greedy(
            frame,
            position_N3,
            np.where(apart_N[:, None], weight_NK * np.minimum(1, parallax_NK / PARTNER_PARALLAX_DEG), 0),
            options.partners,
        )
        return Neighbours(
            tuple(int(n) for n in others_N[sources]),
            tuple(int(n) for n in others_N[partners]),
            float(np.median(median_N[sources])),
        )

    def _geometry(
        self, frame: int, point_K: np.ndarray, others_N: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Of each neighbour and point: whether it is in its image, the parallax in degrees, the weight of its scale."""
        p_map_K3, camera = self._sparse.point_P3[point_K], self._pinhole
        here_K3 = p_map_K3 - self._position_F3[frame]
        there_NK3 = p_map_K3[None] - self._position_F3[others_N][:, None]
        p_NK3 = there_NK3 @ self._rotation_F33[others_N]
        z_NK = np.where(p_NK3[..., 2] > 0, p_NK3[..., 2], np.nan)
        with np.errstate(invalid="ignore"):
            x_NK = camera.fx * p_NK3[..., 0] / z_NK + camera.cx
            y_NK = camera.fy * p_NK3[..., 1] / z_NK + camera.cy
            seen_NK = (x_NK >= 0) & (y_NK >= 0) & (x_NK <= camera.width - 1) & (y_NK <= camera.height - 1)
            z_K = here_K3 @ self._rotation_F33[frame][:, 2]
            scale_NK = np.exp(-0.5 * (np.log(z_NK / z_K) / SCALE_SPREAD) ** 2)
        cosine_NK = np.sum(there_NK3 * here_K3, axis=2)
        cosine_NK /= np.linalg.norm(there_NK3, axis=2) * np.linalg.norm(here_K3, axis=1) + 1e-12
        parallax_NK = np.degrees(np.arccos(np.clip(cosine_NK, -1, 1)))
        return seen_NK, parallax_NK, np.where(seen_NK, scale_NK, 0)

    def _greedy(self, frame: int, position_N3: np.ndarray, weight_NK: np.ndarray, count: int) -> list[int]:
        """The neighbours that together see the points best: each adds to what those before it left open.

        One that stands beside a chosen one shows the same and counts less.
        """
        chosen: list[int] = []
        served_K, fresh_N = np.zeros(weight_NK.shape[1]), np.ones(len(weight_NK))
        baseline_N = np.linalg.norm(position_N3 - self._position_F3[frame], axis=1)
        while len(chosen) < count:
            gain_NK = np.minimum(weight_NK, np.maximum(ENOUGH - served_K, 0.1 * weight_NK))
            gain_N = gain_NK.sum(axis=1) * fresh_N
            gain_N[chosen] = 0
            best = int(np.argmax(gain_N))
            if gain_N[best] < 1e-3 * weight_NK.shape[1]:
                break
            chosen.append(best)
            served_K += weight_NK[best]
            apart_N = np.linalg.norm(position_N3 - position_N3[best], axis=1)
            fresh_N = np.minimum(fresh_N, 0.3 + 0.7 * np.minimum(1, apart_N / (0.3 * baseline_N + 1e-12)))
        return chosen


def _near(parallax_NK: np.ndarray, best_deg: float) -> np.ndarray:
    """1 at the best parallax, two thirds at half of it or twice as much."""
    return np.exp(-0.5 * (np.log(np.maximum(parallax_NK, 1e-3) / best_deg) / PARALLAX_SPREAD) ** 2)


def _quantile(value_NK: np.ndarray, chosen_NK: np.ndarray, share: float) -> np.ndarray:
    """Of the chosen values of each row (N,); 0 where there is none. NumPy has no function for all rows at once."""
    sorted_NK = np.sort(np.where(chosen_NK, value_NK, np.inf), axis=1)
    count_N = chosen_NK.sum(axis=1)
    index_N = np.minimum((share * count_N).astype(int), np.maximum(count_N - 1, 0))
    return np.where(count_N > 0, sorted_NK[np.arange(len(sorted_NK)), index_N], 0.0)

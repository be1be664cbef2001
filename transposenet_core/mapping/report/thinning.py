"""A cloud of bounded size from any number of points: one point per voxel, and voxels as large as points are far."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from transposenet_core.mapping.report.depth_points import Points

LEAST_WAITING = 250_000  # points that are collected before they are merged, or half of those that are kept
COARSER = float(np.sqrt(2))  # surfaces then have half as many voxels
# Borders of voxels do not run through the map's origin, as floors and walls do, and as all borders would however large.
OFF_ORIGIN = 0.37
# Odd 64-bit constants: the position of a voxel as one number, whatever the size of the place.
MIXERS = np.array([0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9, 0xD6E8FEB86659FD93], np.uint64)


class VoxelThinning:
    """Takes points frame by frame and keeps the mean of those in a voxel, at most `most` of them at the end.

    The edge of a voxel is `resolution` times the distance from which its points were seen, to a power of the root of
    two; a place seen from near and from far keeps what was seen from near. Where voxels become too many, all grow.
    Memory is some 500 bytes for each point of `most`, however many are added.
    """

    def __init__(self, most: int, resolution: float) -> None:
        self.most, self.resolution = most, resolution
        self._kept = _Cells.none()
        self._waiting: list[_Cells] = []

    def add(self, points: Points) -> None:
        cells = _Cells(
            points.position_P3, points.colour_P3.astype(np.float32), points.depth_P, np.ones(len(points.depth_P))
        )
        self._waiting.append(cells)
        if sum(len(waiting.weight_P) for waiting in self._waiting) >= max(LEAST_WAITING, self.most // 2):
            self._merge()

    def result(self) -> Points:
        """The points so far, at most `most`, in no particular order."""
        self._merge()
        cells = self._kept.without_far_copies(self.resolution)
        while len(cells.weight_P) > self.most:
            self._coarsen(len(cells.weight_P))
            cells = cells.merged(self.resolution).without_far_copies(self.resolution)
        colour_P3 = np.clip(np.rint(cells.colour_P3), 0, 255).astype(np.uint8)
        return Points(cells.position_P3, colour_P3, cells.depth_P)

    def _merge(self) -> None:
        self._kept = _Cells.joined([self._kept, *self._waiting]).merged(self.resolution)
        self._waiting = []
        while len(self._kept.weight_P) > 2 * self.most:
            self._coarsen(len(self._kept.weight_P))
            self._kept = self._kept.merged(self.resolution).without_far_copies(self.resolution)

    def _coarsen(self, count: int) -> None:
        """As far as the number of points on surfaces calls for, and a little less."""
        self.resolution *= max(COARSER, 0.8 * float(np.sqrt(count / self.most)))


class _Cells:
    """Means of the points in voxels, and how many points each is the mean of."""

    def __init__(
        self, position_P3: np.ndarray, colour_P3: np.ndarray, depth_P: np.ndarray, weight_P: np.ndarray
    ) -> None:
        self.position_P3, self.colour_P3, self.depth_P, self.weight_P = position_P3, colour_P3, depth_P, weight_P

    @classmethod
    def none(cls) -> _Cells:
        return cls(np.empty((0, 3)), np.empty((0, 3), np.float32), np.empty(0), np.empty(0))

    @classmethod
    def joined(cls, parts: Iterable[_Cells]) -> _Cells:
        parts = list(parts)
        names = ("position_P3", "colour_P3", "depth_P", "weight_P")
        return cls(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))

    def merged(self, resolution: float) -> _Cells:
        if not len(self.weight_P):
            return self
        key_P = voxel_keys(self.position_P3, voxel_levels(self.depth_P, resolution))
        order_P = np.argsort(key_P, kind="stable")
        starts_V = np.flatnonzero(np.diff(key_P[order_P], prepend=key_P[order_P[0]] ^ np.uint64(1)))
        weight_P = self.weight_P[order_P]
        weight_V = np.add.reduceat(weight_P, starts_V)

        def mean(values_P: np.ndarray) -> np.ndarray:
            shape = (-1,) + (1,) * (values_P.ndim - 1)
            sums = np.add.reduceat(values_P[order_P] * weight_P.reshape(shape), starts_V, axis=0)
            return (sums / weight_V.reshape(shape)).astype(values_P.dtype)

        return _Cells(mean(self.position_P3), mean(self.colour_P3), mean(self.depth_P), weight_V)

    def without_far_copies(self, resolution: float) -> _Cells:
        """Without voxels in which another frame saw something from nearer."""
        if not len(self.weight_P):
            return self
        level_P = voxel_levels(self.depth_P, resolution)
        keep_P = np.ones(len(level_P), bool)
        for level in np.unique(level_P)[1:]:
            here, nearer = np.flatnonzero(level_P == level), np.flatnonzero(level_P < level)
            taken = voxel_keys(self.position_P3[nearer], np.full(len(nearer), level))
            keep_P[here] = ~np.isin(voxel_keys(self.position_P3[here], level_P[here]), taken)
        return _Cells(self.position_P3[keep_P], self.colour_P3[keep_P], self.depth_P[keep_P], self.weight_P[keep_P])


def voxel_levels(depth_P: np.ndarray, resolution: float) -> np.ndarray:
    """(P,) float64: the binary logarithm of the edge of each point's voxel, a multiple of 1/2."""
    edge_P = np.maximum(depth_P, np.finfo(float).tiny) * resolution
    return np.round(2 * np.log2(edge_P)) / 2


def voxel_keys(position_P3: np.ndarray, level_P: np.ndarray) -> np.ndarray:
    """(P,) uint64: the same number for the points of one voxel; two voxels share one once in 10^12."""
    cell_P3 = np.floor(position_P3 / np.exp2(level_P)[:, None] + OFF_ORIGIN).astype(np.int64)
    parts_P4 = np.column_stack([cell_P3, (2 * level_P).astype(np.int64)]).view(np.uint64)
    key_P = np.zeros(len(parts_P4), np.uint64)
    for part_P, mixer in zip(parts_P4.T, MIXERS, strict=True):
        key_P = (key_P ^ part_P) * mixer
        key_P ^= key_P >> np.uint64(29)
    return key_P

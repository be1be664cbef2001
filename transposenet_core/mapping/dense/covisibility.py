"""Which frames of a sparse map see the same points."""

from __future__ import annotations

import numpy as np

from transposenet_core.mapping.sparse_map import SparseMap

MOST_CANDIDATES = 300  # a slow camera sees a point in hundreds of frames; more would only be more of the same


class Covisibility:
    """The frames that see each point, so that the neighbours of one frame cost no look at all the others."""

    def __init__(self, sparse: SparseMap) -> None:
        counts_F = [len(frame.point_K) for frame in sparse.frames]
        frame_O = np.repeat(np.arange(len(counts_F)), counts_F)
        point_O = np.concatenate([frame.point_K for frame in sparse.frames] or [np.zeros(0, int)])
        order_O = np.argsort(point_O, kind="stable")
        self._frame_O = frame_O[order_O]
        self._start_P = np.searchsorted(point_O[order_O], np.arange(len(sparse.point_P3) + 1))
        self._points = [np.unique(frame.point_K) for frame in sparse.frames]

    def neighbours(self, frame: int, least_shared: int) -> np.ndarray:
        """The frames (N,) that share at least so many points with `frame`, those that share most first."""
        pieces = [self._frame_O[self._start_P[p] : self._start_P[p + 1]] for p in self._points[frame]]
        if not pieces:
            return np.zeros(0, int)
        others_N, shared_N = np.unique(np.concatenate(pieces), return_counts=True)
        enough_N = (shared_N >= least_shared) & (others_N != frame)
        others_N, shared_N = others_N[enough_N], shared_N[enough_N]
        return others_N[np.argsort(-shared_N, kind="stable")][:MOST_CANDIDATES]

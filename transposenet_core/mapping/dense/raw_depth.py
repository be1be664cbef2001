"""Depth of one frame from its sources, before other frames' depths have a say."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from transposenet_core.geometry.intrinsics import Intrinsics
from transposenet_core.mapping.dense.depth_range import DepthPlanes
from transposenet_core.mapping.dense.plane_sweep import View, WindowMoments, sweep
from transposenet_core.mapping.dense.semi_global import aggregate, least_index

LEAST_LIKENESS = 0.2
LEAST_DISTINCT, DISTINCT = 0.02, 0.5  # of the cost: below, the depth is a guess; above, it is as sure as it gets
NEARBY = 3  # planes around the best one, in which a second minimum is the same one


@dataclass(frozen=True, eq=False)
class RawDepth:
    """``depth_HW`` float32 along the optical axis, 0 where there is none; ``sure_HW`` 0..1: how much worse the best
    other depth is. It tells right depths from wrong ones better than likeness and contrast do."""

    depth_HW: np.ndarray
    sure_HW: np.ndarray


def raw_depth(frame: View, sources: list[View], pinhole: Intrinsics, planes: DepthPlanes, window: int) -> RawDepth:
    """The depth of each pixel; none on the first and last plane: what belongs beyond them lands there, like the sky."""
    likeness_DHW = sweep(frame, sources, pinhole, planes.depth_D, window)
    cost_HWD = np.ascontiguousarray((1 - likeness_DHW).transpose(1, 2, 0))
    smooth_HWD = aggregate(cost_HWD, frame.grey_HW)
    index_HW, fine_HW = least_index(smooth_HWD)
    likeness_HW = 1 - np.take_along_axis(cost_HWD, index_HW[..., None], axis=2)[..., 0]
    distinct_HW = _second(smooth_HWD, index_HW) - np.take_along_axis(smooth_HWD, index_HW[..., None], axis=2)[..., 0]
    moments = WindowMoments(frame.grey_HW, window)
    inner_HW = (index_HW > 0) & (index_HW < len(planes.depth_D) - 1)
    good_HW = inner_HW & moments.complete_HW & (likeness_HW > LEAST_LIKENESS) & (distinct_HW > LEAST_DISTINCT)
    depth_HW = np.where(good_HW, planes.at(fine_HW), 0).astype(np.float32)
    return RawDepth(depth_HW, np.clip(distinct_HW / DISTINCT, 0, 1))


def _second(cost_HWD: np.ndarray, index_HW: np.ndarray) -> np.ndarray:
    """The least cost (H, W) that is not near the least one."""
    planes = cost_HWD.shape[2]
    others_HWD = cost_HWD.copy()
    flat_ND, index_N = others_HWD.reshape(-1, planes), index_HW.ravel()
    rows_N = np.arange(len(index_N))
    for step in range(-NEARBY, NEARBY + 1):
        flat_ND[rows_N, np.clip(index_N + step, 0, planes - 1)] = np.inf
    return others_HWD.min(axis=2)

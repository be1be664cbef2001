"""Smooth depths out of a noisy volume of costs: semi-global matching (Hirschmueller 2008, section 2.3), four paths."""

from __future__ import annotations

import numpy as np

SMALL_STEP = 0.045  # cost of a neighbour on the next plane: slanted surfaces
LARGE_STEP = 0.5  # cost of a neighbour on any other plane: edges; less across an edge of the image
EDGE_GREY = 12.0  # grey levels between neighbours that halve it


def aggregate(cost_HWD: np.ndarray, grey_HW: np.ndarray) -> np.ndarray:
    """The mean cost (H, W, D) along the paths from the left, right, top and bottom. `grey_HW` is the frame's image."""
    total_HWD = np.zeros_like(cost_HWD)
    for axis in (0, 1):
        large = _large_steps(grey_HW, axis)
        lines, summed = np.moveaxis(cost_HWD, axis, 0), np.moveaxis(total_HWD, axis, 0)
        _along(lines, large, summed)
        _along(lines[::-1], large[::-1], summed[::-1])
    total_HWD *= 0.25
    return total_HWD


def _large_steps(grey_HW: np.ndarray, axis: int) -> np.ndarray:
    """Cost of a large step between neighbouring lines: (lines - 1, pixels of a line)."""
    difference = np.abs(np.diff(np.moveaxis(grey_HW, axis, 0), axis=0))
    return (LARGE_STEP / (1 + difference / EDGE_GREY)).astype(np.float32)


def _along(cost_LND: np.ndarray, large_LN: np.ndarray, total_LND: np.ndarray) -> None:
    """Add to the total the path costs from the first line to the last; all pixels of a line at once.

    ``path(d) = cost(d) + min(before(d), before(d +- 1) + small, least + large) - least``.
    """
    before_ND = cost_LND[0].copy()
    total_LND[0] += before_ND
    for line in range(1, len(cost_LND)):
        least_N1 = before_ND.min(axis=1, keepdims=True)
        before_ND -= least_N1
        step_ND = np.minimum(before_ND, large_LN[line - 1][:, None])
        before_ND += SMALL_STEP
        np.minimum(step_ND[:, 1:], before_ND[:, :-1], out=step_ND[:, 1:])
        np.minimum(step_ND[:, :-1], before_ND[:, 1:], out=step_ND[:, :-1])
        step_ND += cost_LND[line]
        total_LND[line] += step_ND
        before_ND = step_ND


def least_index(cost_HWD: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The plane of least cost (H, W) int, and the same between the planes by a parabola (float32)."""
    last = cost_HWD.shape[2] - 1
    index_HW = cost_HWD.argmin(axis=2)
    middle_HW1 = np.clip(index_HW, 1, last - 1)[..., None]
    below, at, above = (np.take_along_axis(cost_HWD, middle_HW1 + step, axis=2)[..., 0] for step in (-1, 0, 1))
    curvature_HW = below - 2 * at + above
    shift_HW = np.where(curvature_HW > 1e-6, 0.5 * (below - above) / np.maximum(curvature_HW, 1e-6), 0)
    inner_HW = (index_HW > 0) & (index_HW < last)
    return index_HW, (index_HW + np.where(inner_HW, np.clip(shift_HW, -0.5, 0.5), 0)).astype(np.float32)

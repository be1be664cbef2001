"""How exact a refined pose is, from the matches it fits.

The errors of neighbouring corners go together: they lie on one surface, with one error of its depth and one of the
keyframe's pose. So each match is taken to have an error of its own and one that all matches of its cell of its keyframe
share, and both are measured on the residuals (a variance-component form of the cluster-robust covariance: Liang, Zeger,
"Longitudinal data analysis using generalized linear models", 1986).
"""

from __future__ import annotations

import numpy as np

from transposenet_core.refinement.gauss_newton import Fit
from transposenet_core.refinement.tracking import Matches

GRID = (5, 4)  # columns and rows of a keyframe, of which cells are made
LEAST_VARIANCE_PX2 = 0.05**2


def covariance_of(fit: Fit, matches: Matches) -> np.ndarray:
    """Covariance (6, 6) of position and rotation vector along the map's axes; infinite where matches do not hold the
    pose."""
    cell_N = _cells(matches)
    count = int(cell_N.max(initial=-1)) + 1
    weight_N = fit.weight_N
    of_cell_C = np.bincount(cell_N, weight_N, count)
    sum_C2 = np.column_stack([np.bincount(cell_N, weight_N * fit.error_N2[:, k], count) for k in (0, 1)])
    mean_C2 = sum_C2 / np.maximum(of_cell_C, 1e-9)[:, None]
    within_N2 = fit.error_N2 - mean_C2[cell_N]
    own = max(float(_mean(within_N2**2, weight_N)), LEAST_VARIANCE_PX2)
    # What the cells' means vary by, less what is left in a mean of so many independent errors.
    shared = float(_mean(mean_C2**2, of_cell_C)) - own * float(_mean(1 / np.maximum(of_cell_C, 1)[:, None], of_cell_C))
    shared = max(shared, 0.1 * own)
    weighted_N26 = fit.jacobian_N26 * weight_N[:, None, None]
    information_66 = np.einsum("nij,nik->jk", weighted_N26, fit.jacobian_N26)
    sums_C26 = np.zeros((count, 2, 6))
    np.add.at(sums_C26, cell_N, weighted_N26)
    scatter_66 = own * np.einsum("nij,nik->jk", weighted_N26, weighted_N26)
    scatter_66 += shared * np.einsum("cij,cik->jk", sums_C26, sums_C26)
    try:
        inverse_66 = np.linalg.inv(information_66)
    except np.linalg.LinAlgError:
        return np.full((6, 6), np.inf)
    camera_66 = inverse_66 @ scatter_66 @ inverse_66
    # The step moves the points, not the camera, along the camera's axes: both signs change, and the products do not.
    to_map_66 = np.kron(np.eye(2), fit.pose.rotation_33)
    covariance_66 = to_map_66 @ camera_66 @ to_map_66.T
    covariance_66 = (covariance_66 + covariance_66.T) / 2
    return covariance_66 if np.isfinite(covariance_66).all() else np.full((6, 6), np.inf)


def _cells(matches: Matches) -> np.ndarray:
    """The number (N,) of each match's cell, without gaps."""
    columns, rows = GRID
    column_N = np.clip(matches.corner_N2[:, 0] * columns, 0, columns - 1).astype(int)
    row_N = np.clip(matches.corner_N2[:, 1] * rows, 0, rows - 1).astype(int)
    return np.unique((matches.keyframe_N * rows + row_N) * columns + column_N, return_inverse=True)[1].reshape(-1)


def _mean(squared_M2: np.ndarray, weight_M: np.ndarray) -> np.ndarray:
    return (squared_M2.mean(axis=1) * weight_M).sum() / max(weight_M.sum(), 1e-9)

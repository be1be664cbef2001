"""Whether a refined pose can be believed: enough corners agree, all over the image, and the pose is where it may be.

The limits were chosen on validation frames of RedKitchen and on drives of the demo. A right pose keeps 48 % of the
corners or more in 99 of 100 frames there; most wrong ones keep less than 25 %.
"""

from __future__ import annotations

import numpy as np

from transposenet_core.geometry.intrinsics import Intrinsics
from transposenet_core.geometry.pose import Pose, rotation_angle_deg
from transposenet_core.refinement.gauss_newton import Fit
from transposenet_core.refinement.selection import KeyframeIndex
from transposenet_core.refinement.tracking import Matches

LEAST_INLIERS = 30
# Of the corners that the keyframes have in view, and of them weighted by how near they are: a skyline that agrees says
# nothing of the position.
LEAST_SHARE = 0.45
GRID, LEAST_CELLS = (4, 3), 5  # columns and rows of the image; cells with at least two inliers
FARTHEST_STEP, FARTHEST_ANGLE_DEG = 0.5, 45.0  # from the predicted pose; of the scene's typical depth
BEYOND = 0.5  # of the typical depth: so far outside of the box around the keyframes a camera may be
LARGEST_SIGMA = 0.1  # of the typical depth: the matches leave the position open by more


def fault_of(
    fit: Fit, matches: Matches, camera: Intrinsics, predicted: Pose, index: KeyframeIndex, sigma: float, reach: float
) -> str:
    """Why the fit is not accepted, '' where it is. `sigma` is the standard deviation of its position, by the matches
    alone; it may be as far as `reach` from the predicted one."""
    inliers = int(fit.inlier_N.sum())
    if inliers < LEAST_INLIERS or inliers < LEAST_SHARE * matches.tried:
        return f"{inliers} of {matches.tried} corners agree"
    near = float(matches.nearness_N[fit.inlier_N].sum())
    if near < LEAST_SHARE * matches.tried_nearness:
        return f"{inliers} of {matches.tried} corners agree, but hardly any near ones, which hold the position"
    if (cells := _cells(matches.pixels_N2[fit.inlier_N], camera)) < LEAST_CELLS:
        return f"corners agree in {cells} of {GRID[0] * GRID[1]} parts of the image"
    position = fit.pose.position
    if (step := float(np.linalg.norm(position - predicted.position))) > reach:
        return f"{step:.2f} from the predicted position"
    if (angle := float(rotation_angle_deg(fit.pose.orientation, predicted.orientation))) > FARTHEST_ANGLE_DEG:
        return f"{angle:.0f} deg from the predicted orientation"
    low, high = index.positions_K3.min(axis=0), index.positions_K3.max(axis=0)
    if ((position < low - BEYOND * index.typical) | (position > high + BEYOND * index.typical)).any():
        return "outside of where the keyframes were taken"
    if not sigma <= LARGEST_SIGMA * index.typical:
        return f"the position is open by {sigma:.2f}"
    return ""


def _cells(pixels_M2: np.ndarray, camera: Intrinsics) -> int:
    """How many cells of the `GRID` hold at least two of the pixels."""
    columns, rows = GRID
    column_M = np.clip((pixels_M2[:, 0] + 0.5) * columns // camera.width, 0, columns - 1).astype(int)
    row_M = np.clip((pixels_M2[:, 1] + 0.5) * rows // camera.height, 0, rows - 1).astype(int)
    return int((np.bincount(row_M * columns + column_M, minlength=columns * rows) >= 2).sum())

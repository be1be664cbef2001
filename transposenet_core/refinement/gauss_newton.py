"""The pose that matches agree on: Gauss-Newton on the reprojection error from a predicted pose, with a robust kernel
(Geman and McClure 1987) whose width follows the residuals, so that a prediction that is far off is no outlier."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from transposenet_core.geometry.intrinsics import Intrinsics
from transposenet_core.geometry.pose import Pose

LEAST_MATCHES = 6
MOST_STEPS = 12
NARROWEST_PX = 1.5  # of the kernel: what errors of depth and labels move a corner by
INLIER_PX = 2.0
NARROWER = 0.6  # the kernel's width after a step, times that before
SETTLED = 1e-4  # radians, and shares of the points' distance: a step that changes nothing
DAMPING = 1e-6  # of each diagonal element, so that a direction that nothing holds stays where it was


@dataclass(frozen=True, eq=False)
class Fit:
    """``T_map_camera`` and the matches in it: ``error_N2``, by how many pixels it misses each; ``weight_N`` in [0, 1],
    what the kernel leaves of it; ``inlier_N``, those within INLIER_PX; ``jacobian_N26``, what a small
    translation and rotation of the points along the axes of the camera change of the error."""

    pose: Pose
    error_N2: np.ndarray
    weight_N: np.ndarray
    inlier_N: np.ndarray
    jacobian_N26: np.ndarray


def fit_pose(points_N3: np.ndarray, pixels_N2: np.ndarray, camera: Intrinsics, T_map_camera: Pose) -> Fit | None:
    """The fit of points of the map (N, 3) and where a pinhole `camera` shows them (N, 2), from a predicted pose. None
    for too few of them, or where they do not hold a pose."""
    if len(points_N3) < LEAST_MATCHES:
        return None
    focal_2, centre_2 = np.array([camera.fx, camera.fy]), np.array([camera.cx, camera.cy])
    R = T_map_camera.rotation_33.T
    # Relative to where the camera is: maps may be far from their origin.
    origin_3 = T_map_camera.position
    local_N3, t = points_N3 - origin_3, np.zeros(3)
    width = np.inf
    for _ in range(MOST_STEPS):
        error_N2, jacobian_N26, distance = _linearised(local_N3 @ R.T + t, pixels_N2, focal_2, centre_2)
        squared_N = error_N2[:, 0] ** 2 + error_N2[:, 1] ** 2
        # Twice the median residual at first, which half of the matches are within.
        width = max(NARROWEST_PX, min(2 * float(np.sqrt(_median(squared_N))), NARROWER * width))
        weight_N = np.square(width * width / (width * width + squared_N))
        J_M6, weight_M = jacobian_N26.reshape(-1, 6), np.repeat(weight_N, 2)
        weighted_M6 = J_M6 * weight_M[:, None]
        information_66, gradient_6 = weighted_M6.T @ J_M6, weighted_M6.T @ error_N2.ravel()
        information_66.flat[::7] *= 1 + DAMPING
        try:
            step_6 = np.linalg.solve(information_66 + 1e-12 * np.eye(6), -gradient_6)
        except np.linalg.LinAlgError:
            return None
        if not (np.isfinite(step_6).all() and np.abs(step_6[3:]).max() < np.pi):
            return None
        rotation_33 = cv2.Rodrigues(step_6[3:])[0]
        R, t = rotation_33 @ R, rotation_33 @ t + step_6[:3]
        rotated, moved = np.abs(step_6[3:]).max(), np.abs(step_6[:3]).max()
        if width <= NARROWEST_PX and rotated < SETTLED and moved < SETTLED * distance:
            break
    error_N2, jacobian_N26, _ = _linearised(local_N3 @ R.T + t, pixels_N2, focal_2, centre_2)
    squared_N = error_N2[:, 0] ** 2 + error_N2[:, 1] ** 2
    T_map_fit = np.eye(4)
    T_map_fit[:3, :3], T_map_fit[:3, 3] = R.T, origin_3 - R.T @ t
    try:
        pose = Pose.from_matrix(T_map_fit)
    except ValueError:
        return None
    weight_N = np.square(width * width / (width * width + squared_N))
    return Fit(pose, error_N2, weight_N, squared_N < INLIER_PX**2, jacobian_N26)


def _linearised(
    points_N3: np.ndarray, pixels_N2: np.ndarray, focal_2: np.ndarray, centre_2: np.ndarray
) -> tuple[np.ndarray, np.ndarray, float]:
    """Reprojection errors (N, 2) in pixels of points in the camera's frame, what a small translation and rotation of
    the points changes of them (N, 2, 6), and the points' median distance. Points behind the camera have no say."""
    z_N = points_N3[:, 2]
    front_N = z_N > 1e-9
    all_in_front = bool(front_N.all())
    inverse_N = 1 / z_N if all_in_front else 1 / np.where(front_N, z_N, 1.0)
    x_N, y_N = points_N3[:, 0] * inverse_N, points_N3[:, 1] * inverse_N
    error_N2 = np.column_stack((x_N, y_N)) * focal_2 + centre_2 - pixels_N2
    jacobian_N26 = np.zeros((len(z_N), 2, 6))
    u_N6, v_N6 = jacobian_N26[:, 0], jacobian_N26[:, 1]
    u_N6[:, 0] = v_N6[:, 1] = inverse_N
    u_N6[:, 2], v_N6[:, 2] = -x_N * inverse_N, -y_N * inverse_N
    u_N6[:, 3], u_N6[:, 4], u_N6[:, 5] = -x_N * y_N, 1 + x_N * x_N, -y_N
    v_N6[:, 3], v_N6[:, 4], v_N6[:, 5] = -1 - y_N * y_N, x_N * y_N, x_N
    jacobian_N26 *= focal_2[:, None]
    if not all_in_front:
        error_N2[~front_N], jacobian_N26[~front_N] = 1e4, 0
    return error_N2, jacobian_N26, _median(z_N)


def _median(values_N: np.ndarray) -> float:
    """The upper median: numpy's own takes three times as long for some hundred numbers."""
    middle = len(values_N) // 2
    return float(np.partition(values_N, middle)[middle])

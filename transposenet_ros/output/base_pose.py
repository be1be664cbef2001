"""From the camera's pose to the robot's: the same rigid body, another point of it."""

from __future__ import annotations

import numpy as np

from transposenet_core.geometry.pose import Pose


def moved_covariance(covariance_66: np.ndarray, lever_map_3: np.ndarray) -> np.ndarray:
    """Covariance (position, rotation vector; along the map's axes) of a point `lever_map_3` away on the same body.

    An error d_theta of the rotation moves the far point by d_theta x lever, so its position is less sure.
    """
    x, y, z = lever_map_3
    jacobian_66 = np.eye(6)
    jacobian_66[:3, 3:] = [[0, z, -y], [-z, 0, x], [y, -x, 0]]
    return jacobian_66 @ np.asarray(covariance_66, np.float64) @ jacobian_66.T


def base_in_map(T_map_camera: Pose, covariance_66: np.ndarray, T_camera_base: Pose) -> tuple[Pose, np.ndarray]:
    """``T_map_base`` and its covariance from the camera's."""
    T_map_base = T_map_camera @ T_camera_base
    return T_map_base, moved_covariance(covariance_66, T_map_base.position - T_map_camera.position)

"""Pose errors as vectors, and covariances of them.

Errors are position in metres and rotation vector in radians, both along the map's axes, as in ROS's covariances.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.spatial.transform import Rotation

from transposenet_core.geometry.pose import Pose, stack


def error_vectors(estimates: Sequence[Pose], ground_truth_poses: Sequence[Pose]) -> np.ndarray:
    """Position error and the rotation vector of ``R_estimate R_ground_truth^T`` (N, 6)."""
    position_e, orientation_e = stack(list(estimates))
    position_t, orientation_t = stack(list(ground_truth_poses))
    estimated, true = (Rotation.from_quat(q_N4, scalar_first=True) for q_N4 in (orientation_e, orientation_t))
    return np.hstack((position_e - position_t, np.atleast_2d((estimated * true.inv()).as_rotvec())))


def with_error(pose: Pose, error_6: np.ndarray) -> Pose:
    """The estimate of a pose that has this error: the inverse of `error_vectors`."""
    rotation = Rotation.from_rotvec(error_6[3:]) * Rotation.from_quat(pose.orientation, scalar_first=True)
    return Pose(pose.position + error_6[:3], rotation.as_quat(scalar_first=True))


def scaled(covariance_66: np.ndarray, scale: tuple[float, float]) -> np.ndarray:
    """Multiplied by `scale` of position and of rotation; their cross terms by the root of both."""
    root_6 = np.sqrt(np.repeat(scale, 3))
    return covariance_66 * np.outer(root_6, root_6)


def position_sigma(covariance_66: np.ndarray) -> np.ndarray:
    """The standard deviation of the position, all axes together, in metres: () of (6, 6), (N,) of (N, 6, 6)."""
    return np.sqrt(np.trace(covariance_66[..., :3, :3], axis1=-2, axis2=-1))


def rotation_sigma_deg(covariance_66: np.ndarray) -> np.ndarray:
    """The same of the rotation, in degrees."""
    return np.degrees(np.sqrt(np.trace(covariance_66[..., 3:, 3:], axis1=-2, axis2=-1)))


def moved_covariance(covariance_66: np.ndarray, lever_map_3: np.ndarray) -> np.ndarray:
    """Covariance (position, rotation vector; along the map's axes) of a point `lever_map_3` away on the same body.

    An error d_theta of the rotation moves the far point by d_theta x lever, so its position is less certain.
    """
    x, y, z = lever_map_3
    jacobian_66 = np.eye(6)
    jacobian_66[:3, 3:] = [[0, z, -y], [-z, 0, x], [y, -x, 0]]
    return jacobian_66 @ np.asarray(covariance_66, np.float64) @ jacobian_66.T

"""From the camera's pose to the robot's: the same rigid body, another point of it."""

from __future__ import annotations

import numpy as np

from transposenet_core.geometry.covariance import moved_covariance
from transposenet_core.geometry.pose import Pose


def base_in_map(T_map_camera: Pose, covariance_66: np.ndarray, T_camera_base: Pose) -> tuple[Pose, np.ndarray]:
    """``T_map_base`` and its covariance from the camera's."""
    T_map_base = T_map_camera @ T_camera_base
    return T_map_base, moved_covariance(covariance_66, T_map_base.position - T_map_camera.position)

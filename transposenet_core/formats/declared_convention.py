"""The conventions in which seven numbers are a camera's pose: what differs between data sets.

A convention is a direction (which transform the numbers are), the place of the quaternion's w, and the axes of the
camera's frame. Every format declares its own (`Adapter.pose_convention`).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np
from scipy.spatial.transform import Rotation

# The camera's pose in the map; the inverse of it, as COLMAP writes it; or the camera's centre in the map beside the
# rotation from map to camera, as Cambridge Landmarks has it.
DIRECTIONS = ("camera-to-map", "map-to-camera", "centre + map-to-camera")
# Which of the numbers w x y z (as they were read) are really w, x, y, z.
ORDERS = {"wxyz": (0, 1, 2, 3), "xyzw": (3, 0, 1, 2), "zwxy": (1, 2, 3, 0)}
ORDER_WORDS = {
    "wxyz": "quaternion w x y z",
    "xyzw": "quaternion x y z w",
    "zwxy": "quaternion w x y z where x y z w was read",
}
# R_axes_optical: takes the optical frame (x right, y down, z forward) to the frame that the numbers are of.
AXES = {
    "optical": np.eye(3),
    "OpenGL": np.diag([1.0, -1.0, -1.0]),
    "ROS body": np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]]),
}
AXES_WORDS = {
    "optical": "optical axes (OpenCV: x right, y down, z forward)",
    "OpenGL": "OpenGL axes (x right, y up, z back)",
    "ROS body": "a robot's axes (x forward, y left, z up)",
}


@dataclass(frozen=True)
class PoseConvention:
    """How a data set writes poses; the default is this project's own ``T_map_camera``."""

    direction: str = "camera-to-map"
    order: str = "wxyz"
    axes: str = "optical"

    def __post_init__(self) -> None:
        if self.direction not in DIRECTIONS or self.order not in ORDERS or self.axes not in AXES:
            raise ValueError(f"not a convention: {self}; allowed: {DIRECTIONS}, {list(ORDERS)}, {list(AXES)}")

    def __str__(self) -> str:
        return f"{self.direction}, {ORDER_WORDS[self.order]}, {AXES_WORDS[self.axes]}"

    def poses(self, centres_N3: np.ndarray, quaternions_N4: np.ndarray) -> tuple[np.ndarray, Rotation]:
        """Camera centres (N, 3) in the map and the rotations ``R_map_camera`` (optical axes) of stored numbers."""
        R = Rotation.from_quat(np.asarray(quaternions_N4)[:, ORDERS[self.order]], scalar_first=True)
        p_N3 = np.asarray(centres_N3, np.float64)
        if self.direction != "camera-to-map":
            R = R.inv()
        if self.direction == "map-to-camera":
            p_N3 = -R.apply(p_N3)
        return p_N3, R * Rotation.from_matrix(AXES[self.axes])

    def numbers(self, positions_N3: np.ndarray, R_map_camera: Rotation) -> tuple[np.ndarray, np.ndarray]:
        """The numbers that are these poses in this convention: the inverse of `poses`."""
        p_N3, R = np.asarray(positions_N3, np.float64), R_map_camera * Rotation.from_matrix(AXES[self.axes]).inv()
        if self.direction == "map-to-camera":
            p_N3 = -R.inv().apply(p_N3)
        if self.direction != "camera-to-map":
            R = R.inv()
        stored_N4 = np.empty((len(p_N3), 4))
        stored_N4[:, ORDERS[self.order]] = R.as_quat(scalar_first=True).reshape(-1, 4)
        return p_N3, stored_N4


T_MAP_CAMERA = PoseConvention()
T_CAMERA_MAP = PoseConvention("map-to-camera")
CENTRE_AND_INVERSE = PoseConvention("centre + map-to-camera")


def all_conventions(given: PoseConvention) -> list[PoseConvention]:
    """Every convention that the numbers behind `given` may have been meant in, `given` itself first."""
    orders = ORDERS if given.order == "wxyz" else ("wxyz", "xyzw")
    others = (PoseConvention(*names) for names in product(DIRECTIONS, orders, AXES))
    return [given, *(convention for convention in others if convention != given)]

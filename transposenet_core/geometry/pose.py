"""Camera poses and the distances between them.

Everywhere in the core a pose is ``T_map_camera``: it takes a point of the camera's optical frame (x right, y down,
z forward) to the map frame, and its quaternion is written w x y z.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation


@dataclass(frozen=True, eq=False)
class Pose:
    """``T_map_camera``: position (3,) float64 in metres, orientation (4,) float64 unit quaternion w x y z, w >= 0.

    Raises ValueError where a value is not finite or the quaternion has no direction.
    """

    position: np.ndarray
    orientation: np.ndarray

    def __post_init__(self) -> None:
        position = np.array(self.position, dtype=np.float64).reshape(3)
        orientation = np.array(self.orientation, dtype=np.float64).reshape(4)
        norm = float(np.linalg.norm(orientation))
        if not (np.isfinite(position).all() and np.isfinite(norm) and norm > 1e-12):
            raise ValueError(f"not a pose: position {position}, orientation {orientation}")
        object.__setattr__(self, "position", position)
        object.__setattr__(self, "orientation", _canonical(orientation / norm))

    @classmethod
    def from_matrix(cls, T_map_camera_44: np.ndarray) -> Pose:
        """Pose of a 4x4 transform; a rotation block that is not quite orthonormal becomes the nearest rotation (SVD).

        Raises ValueError where a value is not finite or the block is a reflection or singular.
        """
        T = np.asarray(T_map_camera_44, dtype=np.float64)
        if T.shape != (4, 4) or not np.isfinite(T).all():
            raise ValueError(f"not a finite 4x4 transform: shape {T.shape}")
        if np.linalg.det(T[:3, :3]) < 1e-6:
            raise ValueError(f"the rotation block has determinant {np.linalg.det(T[:3, :3]):.3g}, a rotation has 1")
        return cls(T[:3, 3], Rotation.from_matrix(nearest_rotation(T[:3, :3])).as_quat(scalar_first=True))

    @classmethod
    def from_dict(cls, numbers: dict) -> Pose:
        """The inverse of `to_dict`. KeyError, TypeError or ValueError where it is not a pose."""
        return cls(np.array(numbers["position"], np.float64), np.array(numbers["orientation_wxyz"], np.float64))

    def to_dict(self) -> dict:
        """As it is stored in JSON files."""
        return {"position": self.position.tolist(), "orientation_wxyz": self.orientation.tolist()}

    @property
    def rotation_33(self) -> np.ndarray:
        return Rotation.from_quat(self.orientation, scalar_first=True).as_matrix()

    @property
    def matrix_44(self) -> np.ndarray:
        T = np.eye(4)
        T[:3, :3], T[:3, 3] = self.rotation_33, self.position
        return T

    def inverse(self) -> Pose:
        """``T_camera_map``."""
        return Pose.from_matrix(np.linalg.inv(self.matrix_44))

    def __matmul__(self, other: Pose) -> Pose:
        """``T_a_b @ T_b_c = T_a_c``."""
        return Pose.from_matrix(self.matrix_44 @ other.matrix_44)


def _canonical(quaternion_wxyz: np.ndarray) -> np.ndarray:
    """Of q and -q, the one whose first component that is not zero is positive."""
    first = quaternion_wxyz[np.flatnonzero(quaternion_wxyz)[0]]
    return -quaternion_wxyz if first < 0 else quaternion_wxyz


def nearest_rotation(matrix_33: np.ndarray) -> np.ndarray:
    """The rotation nearest to a 3x3 matrix in the Frobenius norm (orthogonal Procrustes)."""
    u, _, vt = np.linalg.svd(matrix_33)
    return u @ np.diag([1.0, 1.0, np.linalg.det(u @ vt)]) @ vt


def rotation_angle_deg(orientation_a: np.ndarray, orientation_b: np.ndarray) -> np.ndarray:
    """Angle in degrees between quaternions (..., 4), exact at 0 and 180 and independent of their signs and lengths.

    The atan2 form: acos of a dot product loses half its digits near 0 and is NaN when rounding exceeds 1.
    """
    a = np.asarray(orientation_a, np.float64)
    b = np.asarray(orientation_b, np.float64)
    a = a / np.linalg.norm(a, axis=-1, keepdims=True)
    b = b / np.linalg.norm(b, axis=-1, keepdims=True)
    b = np.where(np.sum(a * b, axis=-1, keepdims=True) < 0, -b, b)
    return np.degrees(4 * np.arctan2(np.linalg.norm(a - b, axis=-1), np.linalg.norm(a + b, axis=-1)))


def stack(poses: list[Pose]) -> tuple[np.ndarray, np.ndarray]:
    """Positions (N, 3) and orientations (N, 4) of a list of poses."""
    return (
        np.array([p.position for p in poses]).reshape(-1, 3),
        np.array([p.orientation for p in poses]).reshape(-1, 4),
    )


def mean_pose(poses: list[Pose]) -> Pose:
    """Mean position and the chordal mean rotation."""
    return mean_of_stacked(*stack(poses))


def mean_of_stacked(positions_N3: np.ndarray, orientations_N4: np.ndarray) -> Pose:
    """The same of positions (N, 3) and orientations (N, 4) w x y z."""
    mean = Rotation.from_quat(orientations_N4, scalar_first=True).mean()
    return Pose(positions_N3.mean(axis=0), mean.as_quat(scalar_first=True))

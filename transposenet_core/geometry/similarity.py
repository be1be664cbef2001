"""Rotation, translation and scale that move one map onto another.

Umeyama, "Least-squares estimation of transformation parameters between two point patterns", 1991.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from transposenet_core.geometry.pose import Pose, nearest_rotation

LEAST_SPREAD = 1e-6  # beside the main direction, as a share of the spread along it: a line does not fix the rotation


@dataclass(frozen=True, eq=False)
class Similarity:
    """``x_to = T_to_from (scale * x_from)``: positions are multiplied by ``scale``, then moved by ``T_to_from``."""

    scale: float
    T_to_from: Pose

    def __call__(self, pose: Pose) -> Pose:
        """``T_to_camera`` of ``T_from_camera``."""
        return self.T_to_from @ Pose(self.scale * pose.position, pose.orientation)

    def points(self, p_from_N3: np.ndarray) -> np.ndarray:
        """Points (N, 3) of the first map in the second."""
        return self.scale * p_from_N3 @ self.T_to_from.rotation_33.T + self.T_to_from.position

    @classmethod
    def of_points(cls, p_from_N3: np.ndarray, p_to_N3: np.ndarray, with_scale: bool = True) -> Similarity:
        """The one with the least squared distances between points (N, 3) of both maps; its scale is 1 without
        `with_scale`. ValueError for fewer than three points, or points on one line."""
        if len(p_from_N3) < 3 or len(p_from_N3) != len(p_to_N3):
            raise ValueError(f"{len(p_from_N3)} and {len(p_to_N3)} points, at least 3 of each are needed")
        centres = p_from_N3.mean(axis=0), p_to_N3.mean(axis=0)
        from_N3, to_N3 = p_from_N3 - centres[0], p_to_N3 - centres[1]
        for points_N3 in (from_N3, to_N3):
            spread_3 = np.linalg.svd(points_N3, compute_uv=False)
            if spread_3[1] <= LEAST_SPREAD * spread_3[0]:
                raise ValueError("the points are on one line, which leaves the rotation about it open")
        R_33, scale = _rotation_and_scale(from_N3, to_N3)
        scale = scale if with_scale else 1.0
        T_44 = np.eye(4)
        T_44[:3, :3], T_44[:3, 3] = R_33, centres[1] - scale * R_33 @ centres[0]
        return cls(scale, Pose.from_matrix(T_44))


def _rotation_and_scale(from_N3: np.ndarray, to_N3: np.ndarray) -> tuple[np.ndarray, float]:
    """``R_to_from`` (3, 3) and the best scale beside it, of points (N, 3) whose means are 0."""
    moment_33 = to_N3.T @ from_N3
    R_33 = nearest_rotation(moment_33)
    return R_33, float(np.trace(R_33.T @ moment_33) / np.sum(from_N3**2))

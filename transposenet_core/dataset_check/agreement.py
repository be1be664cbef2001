"""How well poses agree with matches: the distance of a match from where the poses predict its scene point.

A point seen in the first frame lies on a ray. In the second frame that ray is a half line: it begins where a point at
infinity appears (which the rotation alone determines) and runs along the epipolar line as the point comes nearer.
Unlike the Sampson distance (Hartley and Zisserman 2004, section 11.4.3) the distance from the half line depends on a
translation's sign.
"""

from __future__ import annotations

import numpy as np
from scipy.spatial.transform import Rotation

from transposenet_core.dataset_check.matching import MatchedPair

FAR = 1e3  # of a match that the poses put behind the camera, in units of the plane z = 1


def relative_motion(positions_23: np.ndarray, R_map_camera: Rotation) -> tuple[np.ndarray, np.ndarray]:
    """``R_second_first`` (3, 3) and ``t_second_first`` (3,) of two camera poses."""
    R_second_map = R_map_camera[1].inv()
    return (R_second_map * R_map_camera[0]).as_matrix(), R_second_map.apply(positions_23[0] - positions_23[1])


def ray_distances(pair: MatchedPair, R_second_first_33: np.ndarray, t_second_first_3: np.ndarray) -> np.ndarray:
    """Distance (N,) of each match from its half line, on the plane z = 1: the larger of both ways."""
    there = _one_way(pair.rays_first_N2, pair.rays_second_N2, R_second_first_33, t_second_first_3)
    R_back = R_second_first_33.T
    back = _one_way(pair.rays_second_N2, pair.rays_first_N2, R_back, -R_back @ t_second_first_3)
    return np.maximum(there, back)


def _one_way(from_N2: np.ndarray, to_N2: np.ndarray, R: np.ndarray, t: np.ndarray) -> np.ndarray:
    rotated_N3 = np.column_stack([from_N2, np.ones(len(from_N2))]) @ R.T
    ahead_N = rotated_N3[:, 2] > 1e-3
    infinity_N2 = rotated_N3[:, :2] / np.where(ahead_N, rotated_N3[:, 2], 1.0)[:, None]
    # d/ds of the projection of X + s t at s = 0, up to a positive factor.
    towards_N2 = t[:2] - t[2] * infinity_N2
    length_N = np.linalg.norm(towards_N2, axis=1)
    unit_N2 = towards_N2 / np.maximum(length_N, 1e-12)[:, None]
    seen_N2 = to_N2 - infinity_N2
    along_N = (seen_N2 * unit_N2).sum(axis=1)
    across_N = np.abs(seen_N2[:, 0] * unit_N2[:, 1] - seen_N2[:, 1] * unit_N2[:, 0])
    distance_N = np.where(along_N > 0, across_N, np.linalg.norm(seen_N2, axis=1))
    return np.where(ahead_N, distance_N, FAR)

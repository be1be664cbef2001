"""Points from the rays of many tracks at once, robust against wrong observations."""

from __future__ import annotations

import numpy as np

from transposenet_core.mapping.adjust.lens import Lens

ROUNDS = 6


def triangulate(
    track_O: np.ndarray, tracks: int, centre_O3: np.ndarray, ray_O3: np.ndarray, sigma: float
) -> tuple[np.ndarray, np.ndarray]:
    """The point (tracks, 3) nearest in angle to the rays of each track, and its parallax (tracks,) in radians.

    `centre_O3` and unit `ray_O3` (O, 3) are in the map frame, observation o belongs to track ``track_O[o]``. `sigma` in
    radians is the angle from which on a ray counts less (Cauchy weights). NaN for a track of parallel rays.
    """
    across_O33 = np.eye(3) - ray_O3[:, :, None] * ray_O3[:, None, :]
    weight_O = np.ones(len(track_O))
    point_T3 = np.full((tracks, 3), np.nan)
    for _ in range(ROUNDS):
        A_T33, b_T3 = np.zeros((tracks, 3, 3)), np.zeros((tracks, 3))
        np.add.at(A_T33, track_O, weight_O[:, None, None] * across_O33)
        np.add.at(b_T3, track_O, weight_O[:, None] * np.einsum("oij,oj->oi", across_O33, centre_O3))
        size_T = np.trace(A_T33, axis1=1, axis2=2)
        good_T = np.linalg.det(A_T33) > 1e-12 * np.maximum(size_T, 1e-300) ** 3
        A_T33[~good_T] = np.eye(3)
        point_T3 = np.where(good_T[:, None], np.linalg.solve(A_T33, b_T3[..., None])[..., 0], np.nan)
        away_O3 = point_T3[track_O] - centre_O3
        distance_O = np.maximum(np.linalg.norm(away_O3, axis=1), 1e-9)
        angle_O = np.linalg.norm(np.cross(away_O3 / distance_O[:, None], ray_O3), axis=1)
        angle_O = np.where(np.einsum("oi,oi->o", away_O3, ray_O3) > 0, angle_O, 1.0)
        weight_O = np.nan_to_num(1 / ((1 + (angle_O / sigma) ** 2) * distance_O**2))
    return point_T3, parallax(track_O, tracks, ray_O3, point_T3, centre_O3)


def parallax(
    track_O: np.ndarray, tracks: int, ray_O3: np.ndarray, point_T3: np.ndarray, centre_O3: np.ndarray
) -> np.ndarray:
    """Twice the largest angle (tracks,) in radians between a line of sight of a track and their mean."""
    sight_O3 = point_T3[track_O] - centre_O3
    sight_O3 = np.nan_to_num(sight_O3 / np.maximum(np.linalg.norm(sight_O3, axis=1, keepdims=True), 1e-300), nan=0.0)
    mean_T3 = np.zeros((tracks, 3))
    np.add.at(mean_T3, track_O, sight_O3)
    mean_T3 /= np.maximum(np.linalg.norm(mean_T3, axis=1, keepdims=True), 1e-12)
    sine_O = np.linalg.norm(np.cross(sight_O3, mean_T3[track_O]), axis=1)
    largest_T = np.zeros(tracks)
    np.maximum.at(largest_T, track_O, np.arcsin(np.minimum(sine_O, 1.0)))
    return 2 * largest_T


def reprojection_errors(
    lens: Lens, point_O3: np.ndarray, centre_O3: np.ndarray, R_O33: np.ndarray, pixel_O2: np.ndarray
) -> np.ndarray:
    """Pixels (O,) between where points are seen and where they project; infinite behind the camera.

    ``R_O33`` are the rotations of ``T_map_camera`` of each observation's frame, `centre_O3` its position.
    """
    local_O3 = np.einsum("oji,oj->oi", R_O33, point_O3 - centre_O3)
    error_O = np.linalg.norm(lens.project(local_O3) - pixel_O2, axis=1)
    return np.where(np.isfinite(error_O), error_O, np.inf)

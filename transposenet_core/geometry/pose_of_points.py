"""`pose_from_points` of one image in NumPy, float64: a tenth of the time that torch takes for arrays this small.

Steps and sums are those of `aligned` and `refined`, written for few operations on (N, 3) arrays; a test holds the two
equal.
"""

from __future__ import annotations

import numpy as np

from transposenet_core.geometry.pose_from_points import ROBUST


def pose_of_points(
    p_camera_N3: np.ndarray,
    p_map_N3: np.ndarray,
    variance_N: np.ndarray,
    ray_variance_N: np.ndarray,
    iterations: int,
    least_6: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Position (3,), orientation (4,) w x y z and covariance (6, 6), ``T_map_camera``, of one image's points.

    Points in the camera's frame and in the map, and their variances, are as for `refined`, of one image; `least_6` (6,)
    is added to the information's diagonal before it is inverted. NaN everywhere where a point is not finite or a matrix
    is singular.
    """
    arrays = (p_camera_N3, p_map_N3, variance_N, ray_variance_N)
    p_camera_N3, p_map_N3, variance_N, ray_variance_N = (np.asarray(each, np.float64) for each in arrays)
    try:
        with np.errstate(all="ignore"):
            position_3, orientation_4 = _aligned(p_camera_N3, p_map_N3, 1 / (3 * variance_N + ray_variance_N))
            ray_N3 = p_camera_N3 / np.maximum(p_camera_N3[:, 2:], 1e-6)
            information_66 = np.zeros((6, 6))
            for _ in range(iterations):
                position_3, orientation_4, information_66 = _step(
                    position_3, orientation_4, p_camera_N3, ray_N3, p_map_N3, variance_N, ray_variance_N
                )
            covariance_66 = np.linalg.inv(information_66 + np.diag(least_6))
    except np.linalg.LinAlgError:  # eigh does not take NaN
        return np.full(3, np.nan), np.full(4, np.nan), np.full((6, 6), np.nan)
    return position_3, orientation_4, (covariance_66 + covariance_66.T) / 2


def _aligned(p_camera_N3: np.ndarray, p_map_N3: np.ndarray, weight_N: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    weight_N = weight_N / weight_N.sum()
    camera_3, map_3 = weight_N @ p_camera_N3, weight_N @ p_map_N3
    (xx, xy, xz), (yx, yy, yz), (zx, zy, zz) = (weight_N[:, None] * (p_camera_N3 - camera_3)).T @ (p_map_N3 - map_3)
    matrix_44 = np.array(
        (
            (xx + yy + zz, yz - zy, zx - xz, xy - yx),
            (yz - zy, xx - yy - zz, xy + yx, zx + xz),
            (zx - xz, xy + yx, yy - xx - zz, yz + zy),
            (xy - yx, zx + xz, yz + zy, zz - xx - yy),
        )
    )
    orientation_4 = np.linalg.eigh(matrix_44)[1][:, -1]
    return map_3 - _matrix(orientation_4) @ camera_3, orientation_4


def _step(
    position_3: np.ndarray,
    orientation_4: np.ndarray,
    p_camera_N3: np.ndarray,
    ray_N3: np.ndarray,
    p_map_N3: np.ndarray,
    variance_N: np.ndarray,
    ray_variance_N: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """One Gauss-Newton step, and the information before it."""
    R_33 = _matrix(orientation_4)
    rotated_N3, ray_N3 = p_camera_N3 @ R_33.T, ray_N3 @ R_33.T
    residual_N3 = rotated_N3 + position_3 - p_map_N3
    share_N = ray_variance_N / (variance_N + ray_variance_N * np.einsum("ni,ni->n", ray_N3, ray_N3))
    along_N = share_N * np.einsum("ni,ni->n", ray_N3, residual_N3)
    weighted_N3 = (residual_N3 - along_N[:, None] * ray_N3) / variance_N[:, None]
    trust_N = 1 / (1 + np.einsum("ni,ni->n", residual_N3, weighted_N3) / (3 * ROBUST**2))
    certain_N = trust_N / variance_N
    # J = [I, -[p]x] of a point p, so J^T J has |p|^2 I - p p^T, and J^T r = (r, p x r).
    moment_3, square_33 = certain_N @ rotated_N3, (certain_N[:, None] * rotated_N3).T @ rotated_N3
    information_66 = np.zeros((6, 6))
    information_66[:3, :3] = certain_N.sum() * np.eye(3)
    information_66[:3, 3:] = -_cross(moment_3)
    information_66[3:, :3] = _cross(moment_3)
    information_66[3:, 3:] = np.trace(square_33) * np.eye(3) - square_33
    ray_N6 = np.concatenate((ray_N3, _crossed(rotated_N3, ray_N3)), axis=1)
    information_66 -= (ray_N6 * (certain_N * share_N)[:, None]).T @ ray_N6
    force_N3 = trust_N[:, None] * weighted_N3
    slope_6 = np.concatenate((force_N3, _crossed(rotated_N3, force_N3)), axis=1).sum(axis=0)
    step_6 = np.linalg.solve(information_66 + 1e-6 * np.diag(np.diag(information_66)), -slope_6)
    orientation_4 = _product(np.array((1.0, *step_6[3:] / 2)), orientation_4)
    return position_3 + step_6[:3], orientation_4 / np.linalg.norm(orientation_4), information_66


def _matrix(q_4: np.ndarray) -> np.ndarray:
    """Rotation (3, 3) of a unit quaternion w x y z."""
    w, x, y, z = q_4.tolist()
    return np.array(
        (
            (1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)),
            (2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)),
            (2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)),
        )
    )


def _product(a_4: np.ndarray, b_4: np.ndarray) -> np.ndarray:
    """Of two quaternions w x y z."""
    (a, b, c, d), (e, f, g, h) = a_4.tolist(), b_4.tolist()
    return np.array(
        (
            a * e - b * f - c * g - d * h,
            a * f + b * e + c * h - d * g,
            a * g - b * h + c * e + d * f,
            a * h + b * g - c * f + d * e,
        )
    )


def _cross(v_3: np.ndarray) -> np.ndarray:
    """[v]x (3, 3)."""
    x, y, z = v_3.tolist()
    return np.array(((0, -z, y), (z, 0, -x), (-y, x, 0)))


def _crossed(a_N3: np.ndarray, b_N3: np.ndarray) -> np.ndarray:
    """a x b (N, 3); np.cross takes five times as long."""
    (ax, ay, az), (bx, by, bz) = a_N3.T, b_N3.T
    return np.stack((ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx), axis=1)

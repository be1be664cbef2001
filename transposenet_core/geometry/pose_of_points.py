"""`pose_from_points` of one image in NumPy, float64: a tenth of the time that torch takes for arrays this small.

Steps are those of `aligned` and `refined`, in the camera's optical axes and for few operations on (N, 3) arrays; a test
holds the two equal.
"""

from __future__ import annotations

import math

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
    is added to the information's diagonal before it is inverted, the first three and the last three alike. NaN
    everywhere where a point is not finite or a matrix is singular.
    """
    arrays = (p_camera_N3, p_map_N3, variance_N, ray_variance_N)
    p_camera_N3, p_map_N3, variance_N, ray_variance_N = (np.asarray(each, np.float64) for each in arrays)
    try:
        with np.errstate(all="ignore"):
            position_3, orientation_4 = _aligned(p_camera_N3, p_map_N3, 1 / (3 * variance_N + ray_variance_N))
            points = _Points(p_camera_N3, variance_N, ray_variance_N)
            information_66, axes_33 = np.zeros((6, 6)), np.eye(3)
            for _ in range(iterations):
                axes_33 = _matrix(orientation_4)
                step_6, information_66 = points.step((p_map_N3 - position_3) @ axes_33)
                position_3 = position_3 + axes_33 @ step_6[:3]
                orientation_4 = _product(orientation_4, np.array((1.0, *step_6[3:] / 2)))
                orientation_4 /= math.sqrt(orientation_4 @ orientation_4)
            covariance_66 = _in_map(np.linalg.inv(information_66 + np.diag(least_6)), axes_33)
    except np.linalg.LinAlgError:  # eigh does not take NaN
        return np.full(3, np.nan), np.full(4, np.nan), np.full((6, 6), np.nan)
    return position_3, orientation_4, (covariance_66 + covariance_66.T) / 2


class _Points:
    """What does not change from step to step. Everything is in the camera's optical axes, where neither the points nor
    the precision of a residual depend on the pose."""

    def __init__(self, p_N3: np.ndarray, variance_N: np.ndarray, ray_variance_N: np.ndarray) -> None:
        self._p_N3, self._ray_N3 = p_N3, p_N3 / np.maximum(p_N3[:, 2:], 1e-6)
        square_N = np.einsum("ni,ni->n", self._ray_N3, self._ray_N3)
        self._share_N = ray_variance_N / (variance_N + ray_variance_N * square_N)  # Sherman-Morrison
        self._precision_N = 1 / variance_N
        (x_N, y_N, z_N), jacobian_N36 = p_N3.T, np.zeros((len(p_N3), 3, 6))
        jacobian_N36[:, (0, 1, 2), (0, 1, 2)] = 1
        jacobian_N36[:, 0, 4], jacobian_N36[:, 0, 5] = z_N, -y_N  # [I, -[p]x]
        jacobian_N36[:, 1, 3], jacobian_N36[:, 1, 5] = -z_N, x_N
        jacobian_N36[:, 2, 3], jacobian_N36[:, 2, 4] = y_N, -x_N
        ray_N6 = np.einsum("ni,nij->nj", self._ray_N3, jacobian_N36)
        weighted_N36 = jacobian_N36 - (self._share_N[:, None] * self._ray_N3)[:, :, None] * ray_N6[:, None]
        weighted_N36 *= self._precision_N[:, None, None]
        information_N66 = np.einsum("nia,nib->nab", jacobian_N36, weighted_N36)
        self._information, self._gradient = information_N66.reshape(-1, 36), weighted_N36.reshape(-1, 6)

    def step(self, seen_N3: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """One Gauss-Newton step (6,) from the map's points as the pose sees them, and the information (6, 6) before
        it, in the camera's optical axes."""
        residual_N3 = self._p_N3 - seen_N3
        along_N = np.einsum("ni,ni->n", self._ray_N3, residual_N3)
        square_N = np.einsum("ni,ni->n", residual_N3, residual_N3)
        distance_N = self._precision_N * (square_N - self._share_N * along_N**2)
        trust_N = 1 / (1 + distance_N / (3 * ROBUST**2))
        information_66 = (trust_N @ self._information).reshape(6, 6)
        gradient_6 = (trust_N[:, None] * residual_N3).ravel() @ self._gradient
        damped_66 = information_66.copy()
        damped_66.flat[::7] *= 1 + 1e-6
        return np.linalg.solve(damped_66, -gradient_6), information_66


def _in_map(covariance_66: np.ndarray, R_33: np.ndarray) -> np.ndarray:
    """From the camera's optical axes."""
    rotation_66 = np.zeros((6, 6))
    rotation_66[:3, :3] = rotation_66[3:, 3:] = R_33
    return rotation_66 @ covariance_66 @ rotation_66.T


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

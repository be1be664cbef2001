"""Whether a covariance is as large as the errors are, and the factor that makes it so.

Errors are position in metres and rotation vector in radians, both along the map's axes, as ROS's covariances have them.
The yardstick is the normalised estimation error squared per axis, ``e^T C^-1 e / 3`` (Bar-Shalom, Li, Kirubarajan,
"Estimation with applications to tracking and navigation", 2001, section 5.4): 1 on average where C is right.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation

from transposenet_core.geometry.pose import Pose, stack

PARTS = {"position": slice(0, 3), "rotation": slice(3, 6)}
GAUSSIAN = 0.68  # of a normal distribution within one standard deviation


def error_vectors(estimates: Sequence[Pose], truths: Sequence[Pose]) -> np.ndarray:
    """Position error and the rotation vector of ``R_estimate R_truth^T`` (N, 6)."""
    position_e, orientation_e = stack(list(estimates))
    position_t, orientation_t = stack(list(truths))
    estimated, true = (Rotation.from_quat(q_N4, scalar_first=True) for q_N4 in (orientation_e, orientation_t))
    return np.hstack((position_e - position_t, np.atleast_2d((estimated * true.inv()).as_rotvec())))


def error_std(error_N6: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Root mean square of the errors along the map's axes: position (3,) metres, rotation vector (3,) radians."""
    root_6 = np.sqrt(np.mean(error_N6**2, axis=0))
    return root_6[:3], root_6[3:]


def nees(error_N6: np.ndarray, covariance_N66: np.ndarray) -> dict[str, float]:
    """The mean over the frames, of position and of rotation apart."""
    found = {}
    for name, part in PARTS.items():
        weighed_N3 = np.linalg.solve(covariance_N66[:, part, part], error_N6[:, part, None])[..., 0]
        found[name] = float((error_N6[:, part] * weighed_N3).sum(axis=1).mean() / 3)
    return found


def scaled(covariance_66: np.ndarray, scale: tuple[float, float]) -> np.ndarray:
    """Multiplied by `scale` of position and of rotation; what connects the two by the root of both."""
    root_6 = np.sqrt(np.repeat(scale, 3))
    return covariance_66 * np.outer(root_6, root_6)


def position_sigma(covariance_66: np.ndarray) -> np.ndarray:
    """The standard deviation of the position, all axes together, in metres: () of (6, 6), (N,) of (N, 6, 6)."""
    return np.sqrt(np.trace(covariance_66[..., :3, :3], axis1=-2, axis2=-1))


def moved_covariance(covariance_66: np.ndarray, lever_map_3: np.ndarray) -> np.ndarray:
    """Covariance (position, rotation vector; along the map's axes) of a point `lever_map_3` away on the same body.

    An error d_theta of the rotation moves the far point by d_theta x lever, so its position is less sure.
    """
    x, y, z = lever_map_3
    jacobian_66 = np.eye(6)
    jacobian_66[:3, 3:] = [[0, z, -y], [-z, 0, x], [y, -x, 0]]
    return jacobian_66 @ np.asarray(covariance_66, np.float64) @ jacobian_66.T


@dataclass(frozen=True)
class Honesty:
    """The share of errors within one standard deviation by axis (6,), and the `nees` of both parts."""

    within_6: np.ndarray
    nees: dict[str, float]

    @classmethod
    def of(cls, error_N6: np.ndarray, covariance_N66: np.ndarray) -> Honesty:
        sigma_N6 = np.sqrt(np.diagonal(covariance_N66, axis1=1, axis2=2))
        return cls((np.abs(error_N6) <= sigma_N6).mean(axis=0), nees(error_N6, covariance_N66))

    def to_dict(self) -> dict:
        return {"within_one_sigma": self.within_6.tolist(), "nees": self.nees}

    def __str__(self) -> str:
        parts = []
        for name, part in PARTS.items():
            shares = " / ".join(f"{100 * share:.0f}" for share in self.within_6[part])
            parts.append(f"{name} {shares} %, NEES {self.nees[name]:.2f}")
        return f"covariance: within one sigma by axis (Gaussian {GAUSSIAN:.0%}; NEES 1): {'; '.join(parts)}"

"""Whether a covariance is as large as the errors are.

The measure is the normalised estimation error squared per axis, ``e^T C^-1 e / 3`` (Bar-Shalom, Li, Kirubarajan,
"Estimation with applications to tracking and navigation", 2001, section 5.4): 1 on average where C is right. Errors are
those of `geometry.covariance.error_vectors`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

PARTS = {"position": slice(0, 3), "rotation": slice(3, 6)}
GAUSSIAN = 0.68  # of a normal distribution within one standard deviation


def error_std(error_N6: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Root mean square of the errors along the map's axes: position (3,) metres, rotation vector (3,) radians."""
    root_6 = np.sqrt(np.mean(error_N6**2, axis=0))
    return root_6[:3], root_6[3:]


def nees(error_N6: np.ndarray, covariance_N66: np.ndarray) -> dict[str, float]:
    """The mean over the frames, separately for position and rotation."""
    found = {}
    for name, part in PARTS.items():
        weighed_N3 = np.linalg.solve(covariance_N66[:, part, part], error_N6[:, part, None])[..., 0]
        found[name] = float((error_N6[:, part] * weighed_N3).sum(axis=1).mean() / 3)
    return found


@dataclass(frozen=True)
class CovarianceCalibration:
    """The share of errors within one standard deviation by axis (6,), and the `nees` of both parts."""

    within_6: np.ndarray
    nees: dict[str, float]

    @classmethod
    def of(cls, error_N6: np.ndarray, covariance_N66: np.ndarray) -> CovarianceCalibration:
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

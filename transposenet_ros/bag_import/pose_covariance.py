"""The covariances that a pose topic publishes, by time."""

from __future__ import annotations

from array import array
from typing import Any

import numpy as np

from transposenet_core.geometry.covariance import position_sigma, rotation_sigma_deg

ASYMMETRY = 1e-6  # what rounding makes of a symmetric matrix


class PoseCovariances:
    """(6, 6) by stamp, position then rotation vector along the map's axes, as geometry_msgs has them.

    What is not finite, not symmetric or negative on its diagonal, and all zeros ("unknown"), counts as none.
    """

    def __init__(self) -> None:
        self._stamps, self._values = array("q"), array("d")
        self.stamps_N, self.values_N66 = np.zeros(0, np.int64), np.zeros((0, 6, 6))

    def take(self, stamp_ns: int, covariance_36: Any) -> None:
        self._stamps.append(stamp_ns)
        self._values.extend(np.asarray(covariance_36, np.float64).reshape(36))

    def finish(self) -> None:
        """No more come."""
        stamps_N, values_N66 = np.frombuffer(self._stamps, np.int64), np.frombuffer(self._values, np.float64)
        values_N66 = values_N66.reshape(-1, 6, 6)
        asymmetry_N66 = np.abs(values_N66 - values_N66.swapaxes(1, 2)) > ASYMMETRY * (1 + np.abs(values_N66))
        known_N = (
            np.isfinite(values_N66).all(axis=(1, 2)) & values_N66.any(axis=(1, 2)) & ~asymmetry_N66.any(axis=(1, 2))
        )
        known_N &= (np.diagonal(values_N66, axis1=1, axis2=2) >= 0).all(axis=1)
        places_N = np.flatnonzero(known_N)
        places_N = places_N[np.argsort(stamps_N[places_N], kind="stable")]
        self.stamps_N, self.values_N66 = stamps_N[places_N], values_N66[places_N]

    def __len__(self) -> int:
        return len(self.stamps_N)

    def at(self, stamp_ns: int, max_gap_ns: int) -> np.ndarray | None:
        """Linearly between the two around; None beyond them or in a gap of more than `max_gap_ns`."""
        behind = int(np.searchsorted(self.stamps_N, stamp_ns, side="right"))
        if behind and self.stamps_N[behind - 1] == stamp_ns:
            return self.values_N66[behind - 1]
        if behind in (0, len(self.stamps_N)):
            return None
        before_ns, after_ns = self.stamps_N[behind - 1], self.stamps_N[behind]
        if after_ns - before_ns > max_gap_ns:
            return None
        share = (stamp_ns - before_ns) / (after_ns - before_ns)
        return (1 - share) * self.values_N66[behind - 1] + share * self.values_N66[behind]

    def sigmas(self, stamps_N: np.ndarray) -> np.ndarray:
        """(N, 2) standard deviations at exactly these stamps, metres and degrees of all axes together; 0: unknown."""
        sigmas_N2 = np.zeros((len(stamps_N), 2))
        if len(self):
            index_N = np.minimum(np.searchsorted(self.stamps_N, stamps_N), len(self) - 1)
            known_N = self.stamps_N[index_N] == stamps_N
            found_K66 = self.values_N66[index_N[known_N]]
            sigmas_N2[known_N] = np.stack([position_sigma(found_K66), rotation_sigma_deg(found_K66)], axis=1)
        return sigmas_N2

"""Which frames of a recording become keyframes: few, and none of the others far from all of them."""

from __future__ import annotations

import numpy as np
from scipy.spatial.transform import Rotation


def covering(
    positions_N3: np.ndarray, orientations_N4: np.ndarray, typical: float, most: int, radius: float
) -> np.ndarray:
    """The places (K,) of frames, in ascending order, of which each frame is within `radius` of the nearest, at most
    `most` of them (farthest point sampling: Gonzalez 1985, at most twice as many as needed).

    The distance of two poses is how differently they see a thing `typical` away: the step between them as a share of
    that, and the angle between their directions of view and about them, in radians.
    """
    rotations = Rotation.from_quat(orientations_N4, scalar_first=True)
    chosen: list[int] = []
    away_N, place = np.full(len(positions_N3), np.inf), 0
    while len(chosen) < min(most, len(positions_N3)) and away_N[place] > radius:
        chosen.append(place)
        step_N = np.linalg.norm(positions_N3 - positions_N3[place], axis=1) / typical
        away_N = np.minimum(away_N, step_N + (rotations[place].inv() * rotations).magnitude())
        place = int(away_N.argmax())
    return np.sort(np.array(chosen, int))

"""The up direction of a map frame: 7-Scenes has y down, Cambridge z up, SLAM the frame that it started in."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

# Cameras that are held upright: their x axes are this near to level (mean square of the cosine: a roll of 23 degrees),
# and their upper edges point this far upwards (mean cosine: a pitch of 75 degrees).
MOST_ROLL, LEAST_UPWARD = 0.15, 0.25
# What the cameras' upper edges count beside their x axes, which decide alone once the cameras look into directions
# that differ by more than some 6 degrees (the square of 0.1 rad).
UPPER_EDGES = 0.01
SNAP_DEG = 10.0


@dataclass(frozen=True, eq=False)
class Vertical:
    """``up_3`` in the map; ``basis_23`` are the two level directions that are drawn to the right and upwards when one
    looks down, ``names`` are the labels of their axes; ``reason`` tells how up was found."""

    up_3: np.ndarray
    basis_23: np.ndarray
    names: tuple[str, str, str]
    reason: str

    def level(self, points_N3: np.ndarray) -> np.ndarray:
        """Points (N, 3) as seen from above (N, 2)."""
        return points_N3 @ self.basis_23.T

    def height(self, points_N3: np.ndarray) -> np.ndarray:
        """Heights (N,) in metres above the map's origin."""
        return points_N3 @ self.up_3

    def azimuth_elevation_deg(self, directions_N3: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Azimuth in -180..180, counted anticlockwise from the first level direction, and elevation in -90..90."""
        level_N2 = self.level(directions_N3)
        azimuth = np.degrees(np.arctan2(level_N2[:, 1], level_N2[:, 0]))
        return azimuth, np.degrees(np.arcsin(np.clip(self.height(directions_N3), -1, 1)))


def find_vertical(positions_N3: np.ndarray, rotations_N33: np.ndarray) -> Vertical:
    """Up of a map, from the positions and rotations ``R_map_camera`` of cameras that are held upright or pitched.

    It is the direction most orthogonal to the cameras' x axes, on the side where their upper edges point: pitch does
    not move an x axis. Cameras that look one way leave it open how far they are pitched; then the upper edges decide.
    Of cameras that roll freely it is the direction of least motion. A map axis within 10 degrees is used instead:
    axes with names are easier to read.
    """
    x_N3, upper_3 = rotations_N33[:, :, 0], -rotations_N33[:, :, 1].mean(axis=0)
    moments_33 = x_N3.T @ x_N3 / len(x_N3) - UPPER_EDGES * np.outer(upper_3, upper_3)
    up_3, reason = np.linalg.eigh(moments_33)[1][:, 0], "orthogonal to the cameras' x axes"
    up_3 = up_3 if up_3 @ upper_3 > 0 else -up_3
    if np.mean((x_N3 @ up_3) ** 2) > MOST_ROLL or up_3 @ upper_3 < LEAST_UPWARD:
        centred_N3 = positions_N3 - positions_N3.mean(axis=0)
        up_3, reason = np.linalg.eigh(centred_N3.T @ centred_N3)[1][:, 0], "the direction of least motion"
        # Upper edges that point nowhere: cameras look down rather than up.
        up_3 = up_3 if up_3 @ (upper_3 - rotations_N33[:, :, 2].mean(axis=0)) > 0 else -up_3
    axis = int(np.argmax(np.abs(up_3)))
    sign = 1.0 if up_3[axis] > 0 else -1.0
    tilt = float(np.degrees(np.arccos(min(1.0, abs(up_3[axis])))))
    if tilt <= SNAP_DEG:
        return _along_axis(axis, sign, f"{reason}, {tilt:.0f} deg off")
    right_3 = np.cross(np.eye(3)[int(np.argmin(np.abs(up_3)))], up_3)
    right_3 /= np.linalg.norm(right_3)
    words = ", ".join(f"{value:.2f}" for value in up_3)
    return Vertical(up_3, np.stack([right_3, np.cross(up_3, right_3)]), ("level 1", "level 2", f"({words})"), reason)


def _along_axis(axis: int, sign: float, reason: str) -> Vertical:
    """Seen from above the image must not be mirrored: right x upwards = up."""
    first, second = [(1, 2), (0, 2), (0, 1)][axis]
    basis_23 = np.eye(3)[[first, second]]
    up_3 = sign * np.eye(3)[axis]
    mirrored = np.cross(*basis_23) @ up_3 < 0
    if mirrored:
        basis_23[1] *= -1
    names = (f"map {'xyz'[first]}", f"map {'-' if mirrored else ''}{'xyz'[second]}")
    return Vertical(up_3, basis_23, (*names, f"map {'-' if sign < 0 else ''}{'xyz'[axis]}"), reason)

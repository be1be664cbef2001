"""Jumps of recorded poses: steps that neither the odometry, the motion around them nor their covariance explain.

A localization that corrects itself moves the robot without driving. Poses must not be interpolated across that, and the
frames on either side belong to two sequences.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from transposenet_core.formats.rows import MAX_POSITION_M
from transposenet_core.geometry.pose import Pose, rotation_angle_deg
from transposenet_ros.transforms.errors import seconds_text

LEAST_M, LEAST_DEG = 0.1, 5.0  # corrections of every day: no jump
SIGMAS = 3.0
ODOMETRY_ERROR = 0.1  # of the way that the odometry has gone
FASTER = 2.0  # without odometry: than the fastest of the steps around
AROUND = 2  # steps on either side

Step = Callable[[int, int], Pose | None]  # T_body(first)_body(second) between two stamps in ns, None where not known


@dataclass(frozen=True)
class Jump:
    """Between two poses, stamps in ns of the poses' clock: ``metres`` and ``degrees`` more than was to be expected."""

    before_ns: int
    after_ns: int
    metres: float
    degrees: float

    def __str__(self) -> str:
        between = f"between {seconds_text(self.before_ns)} and {seconds_text(self.after_ns)}"
        return f"{between} by {self.metres:.2f} m and {self.degrees:.1f} deg"


def find_jumps(
    stamps_N: np.ndarray, poses_N7: np.ndarray, sigmas_N2: np.ndarray, moved: Step, odometry: Step | None
) -> list[Jump]:
    """The jumps in a series of poses (x y z, quaternion w x y z), stamps (N,) int64 ns, ascending.

    `sigmas_N2`: their standard deviations, metres and degrees, 0 where none was published. `moved` is the body's motion
    in the map, as the poses have it, and `odometry` the same by the wheels.
    """
    if len(stamps_N) < 2:
        return []
    dt_M = np.maximum(np.diff(stamps_N) / 1e9, 1e-9)
    positions_N3 = np.clip(poses_N7[:, :3], -MAX_POSITION_M, MAX_POSITION_M)  # what lies beyond has no pose anyway
    metres_M = np.linalg.norm(np.diff(positions_N3, axis=0), axis=1)
    degrees_M = rotation_angle_deg(poses_N7[1:, 3:], poses_N7[:-1, 3:])
    # Both ends of a step are uncertain.
    noise_M2 = SIGMAS * np.sqrt(sigmas_N2[:-1] ** 2 + sigmas_N2[1:] ** 2)
    least_M2 = np.array([LEAST_M, LEAST_DEG]) + noise_M2
    around_M2 = FASTER * dt_M[:, None] * np.stack([_around(x / dt_M) for x in (metres_M, degrees_M)], axis=1)
    found = []
    for k in np.flatnonzero((metres_M > least_M2[:, 0]) | (degrees_M > least_M2[:, 1])).tolist():
        before_ns, after_ns = int(stamps_N[k]), int(stamps_N[k + 1])
        by_odometry = odometry(before_ns, after_ns) if odometry else None
        by_poses = moved(before_ns, after_ns) if by_odometry else None
        if by_odometry and by_poses:
            size, explained = _size(by_odometry.inverse() @ by_poses), ODOMETRY_ERROR * np.array(_size(by_odometry))
        else:  # no odometry, or none at that time
            size, explained = (float(metres_M[k]), float(degrees_M[k])), around_M2[k]
        if (np.array(size) > least_M2[k] + explained).any():
            found.append(Jump(before_ns, after_ns, *size))
    return found


def _size(T: Pose) -> tuple[float, float]:
    return float(np.linalg.norm(T.position)), float(rotation_angle_deg(T.orientation, np.array([1.0, 0, 0, 0])))


def _around(speeds_M: np.ndarray) -> np.ndarray:
    """The highest speed among the AROUND steps before and after each, itself left out (M,)."""
    padded = np.pad(speeds_M, AROUND)
    shifts = [k for k in range(2 * AROUND + 1) if k != AROUND]
    return np.max([padded[k : k + len(speeds_M)] for k in shifts], axis=0)

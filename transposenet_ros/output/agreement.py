"""Whether consecutive frames put the robot where its motion lets it be: one frame may be wrong by the whole map."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from transposenet_core.geometry.covariance import moved_covariance, position_sigma, rotation_sigma_deg
from transposenet_core.geometry.pose import Pose, rotation_angle_deg

NEEDED = 3
# Of the errors of both frames together; 99 % of good pairs are within two, whose errors are independent at the worst.
SIGMAS = 2.0
# Without odometry the robot may have moved as far as a fast one does; after longer pauses no farther than in this time.
SPEED_M_S, ROTATION_DEG_S, LONGEST_S = 2.0, 120.0, 1.0
# Wheels slip: of the distance and of the rotation that odometry has measured.
SLIP = 0.1


@dataclass(frozen=True, eq=False)
class BaseEstimate:
    """Where a localized frame puts the base: ``T_map_base`` in ``map_frame`` with its covariance (6, 6; position,
    rotation vector, along the map's axes) at a time of the robot's clock; ``T_odom_base`` where there is odometry."""

    time_ns: int
    map_frame: str
    T_map_base: Pose
    covariance_66: np.ndarray
    T_odom_base: Pose | None = None


class AgreeingFrames:
    """The last of the consecutive localized frames that all agree with each other, at most NEEDED of them."""

    def __init__(self) -> None:
        self._frames: list[BaseEstimate] = []

    def add(self, frame: BaseEstimate) -> str:
        """Why the frames do not suffice yet, "" where NEEDED of them agree; one that disagrees begins anew."""
        for earlier in self._frames:
            if found := disagreement(earlier, frame):
                self._frames = [frame]
                return found
        self._frames = [*self._frames[1 - NEEDED :], frame]
        count = len(self._frames)
        return "" if count == NEEDED else f"{count} of {NEEDED} frames so far"

    def forget(self) -> None:
        """Begin anew: a frame was not localized, or what is known is of another time or camera."""
        self._frames = []


def disagreement(earlier: BaseEstimate, later: BaseEstimate) -> str:
    """What is wrong between two frames in words, "" where the later one is where the robot can be by then."""
    if earlier.map_frame != later.map_frame:
        return f"one frame is in {earlier.map_frame}, a later one in {later.map_frame}"
    expected, tolerance_m, tolerance_deg = _expected(earlier, later)
    lever_3 = expected.position - earlier.T_map_base.position
    covariance_66 = moved_covariance(earlier.covariance_66, lever_3) + later.covariance_66
    tolerance_m += SIGMAS * float(position_sigma(covariance_66))
    tolerance_deg += SIGMAS * float(rotation_sigma_deg(covariance_66))
    away_m = float(np.linalg.norm(later.T_map_base.position - expected.position))
    away_deg = float(rotation_angle_deg(later.T_map_base.orientation, expected.orientation))
    if away_m <= tolerance_m and away_deg <= tolerance_deg:
        return ""
    return (
        f"a frame is {away_m:.2f} m and {away_deg:.1f} deg from where an earlier one expects it, "
        f"{tolerance_m:.2f} m and {tolerance_deg:.1f} deg are allowed"
    )


def _expected(earlier: BaseEstimate, later: BaseEstimate) -> tuple[Pose, float, float]:
    """`T_map_base` of the later frame by the earlier one, and how far it may be off by motion alone (m, degrees)."""
    if earlier.T_odom_base is None or later.T_odom_base is None:
        seconds = min(abs(later.time_ns - earlier.time_ns) / 1e9, LONGEST_S)
        return earlier.T_map_base, SPEED_M_S * seconds, ROTATION_DEG_S * seconds
    motion = earlier.T_odom_base.inverse() @ later.T_odom_base
    rotated_deg = float(rotation_angle_deg(motion.orientation, np.array([1.0, 0.0, 0.0, 0.0])))
    return earlier.T_map_base @ motion, SLIP * float(np.linalg.norm(motion.position)), SLIP * rotated_deg

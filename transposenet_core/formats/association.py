"""Images to poses by time: the pose at an image's stamp, interpolated between the two poses around it.

Interpolated, not the nearest within a tolerance as TUM's own tool does it: at 1 m/s the nearest of poses at 10 Hz is up
to 5 cm off. Positions lie on the line between the neighbours and rotations on the shorter arc at constant speed
(slerp), as in tf2: exact for a constant velocity and a constant angular velocity. Nothing is extrapolated, and
neighbours further apart than `max_gap` do not determine the camera's motion in between.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

import numpy as np
from scipy.spatial.transform import Rotation

from transposenet_core.errors import UserError
from transposenet_core.formats.numbers import stamp_unit
from transposenet_core.geometry.pose import Pose, stack

NANOSECONDS = 10**9
MAX_GAP_S = 0.1  # for trackers, which give poses at 100 Hz and more
LOWEST_RATE = 0.8  # fault matrix, T3
LARGEST_STAMP_NS = 2**62  # 146 years: differences of two stamps still are an int64


@dataclass(frozen=True, eq=False)
class Association:
    """A pose for each image, in the images' order, or None where there is none at its time.

    ``outside`` counts the images before the first and after the last pose, ``in_gaps`` those between poses too far
    apart; the ranges are (first, last) stamps in nanoseconds, the images' as they are compared with the poses'.
    ``longest_gap_s`` is the longest time between poses in which an image lies that has none, ``pose_period_s`` the
    median time between two poses.
    """

    poses: list[Pose | None]
    outside: int
    in_gaps: int
    image_range_ns: tuple[int, int]
    pose_range_ns: tuple[int, int]
    max_gap_s: float
    longest_gap_s: float = 0.0
    pose_period_s: float = 0.0

    @property
    def matched(self) -> int:
        return len(self.poses) - self.outside - self.in_gaps

    @property
    def rate(self) -> float:
        """The share of the images that have a pose."""
        return self.matched / len(self.poses)

    @property
    def clock_offset_s(self) -> float:
        """What to add to the images' stamps to make both ranges begin together: a guess for clocks that differ."""
        return (self.pose_range_ns[0] - self.image_range_ns[0]) / NANOSECONDS

    def __str__(self) -> str:
        """The match rate and why it is not 100 %."""
        text = f"{self.matched} of {len(self.poses)} images ({self.rate:.1%}) have a pose at their time"
        if self.outside:
            text += f", {self.outside} are before the first or after the last pose"
        if self.in_gaps:
            text += f", {self.in_gaps} lie between poses more than {self.max_gap_s:g} s apart"
        return text

    def require(self, where: object, lowest: float = LOWEST_RATE) -> None:
        """UserError that starts with `where` if fewer images than the share `lowest` have a pose."""
        if self.rate >= lowest:
            return
        images, poses = (_range_text(r) for r in (self.image_range_ns, self.pose_range_ns))
        unit = stamp_unit(self.pose_period_s)
        hint = f"the poses are {self.pose_period_s:.3g} s apart, are their stamps in {unit}? " if unit else ""
        raise UserError(
            f"{where}: {self}, but {lowest:.0%} must have one: {hint}the images' stamps run from {images}, "
            f"the poses' from {poses}; {self._advice}"
        )

    @property
    def _advice(self) -> str:
        if self.in_gaps > self.outside:
            enough = math.ceil(self.longest_gap_s * 100) / 100
            return (
                f"the poses have gaps of up to {self.longest_gap_s:.3g} s where there are images: max_gap={enough:g} "
                "interpolates across them, which is right where the camera moves evenly; or record the poses faster"
            )
        return (
            f"if the clocks differ, {self.clock_offset_s:+.3f} s added to the images' stamps would make the starts "
            "equal; use the files of one recording, or correct the clock (time_offset)"
        )


def associate(
    stamps_ns: Sequence[int],
    pose_stamps_ns: Sequence[int],
    poses: Sequence[Pose],
    max_gap_s: float = MAX_GAP_S,
    offset_s: float = 0.0,
) -> Association:
    """The poses at the images' stamps (whole nanoseconds), `offset_s` seconds added to those.

    Images and poses may come in any order; of poses with the same stamp the first is used. An image at a pose's own
    stamp has that pose, however far away its neighbours are. ValueError where there is no image or no pose.
    """
    if not len(stamps_ns) or not len(poses) or len(poses) != len(pose_stamps_ns):
        raise ValueError(f"{len(stamps_ns)} images, {len(poses)} poses with {len(pose_stamps_ns)} stamps")
    wanted_N = np.asarray(stamps_ns, np.int64) + round(offset_s * NANOSECONDS)
    known_M, first_M = np.unique(np.asarray(pose_stamps_ns, np.int64), return_index=True)
    later_N = np.searchsorted(known_M, wanted_N).clip(max=len(known_M) - 1)  # the first pose that is not earlier
    exact_N = known_M[later_N] == wanted_N
    inside_N = (wanted_N >= known_M[0]) & (wanted_N <= known_M[-1])
    earlier_N = np.where(exact_N | ~inside_N, later_N, later_N - 1)
    gap_N = known_M[later_N] - known_M[earlier_N]
    usable_N = inside_N & (gap_N <= min(round(max_gap_s * NANOSECONDS), LARGEST_STAMP_NS))
    share_N = (wanted_N - known_M[earlier_N]) / np.maximum(gap_N, 1)
    used_N = np.flatnonzero(usable_N)
    found: list[Pose | None] = [None] * len(wanted_N)
    if len(used_N):
        ends = first_M[earlier_N[used_N]], first_M[later_N[used_N]]
        for index, pose in zip(used_N, _interpolated(poses, *ends, share_N[used_N]), strict=True):
            found[index] = pose
    ranges = (int(wanted_N.min()), int(wanted_N.max())), (int(known_M[0]), int(known_M[-1]))
    in_gap_N = inside_N & ~usable_N
    longest_gap_s = float(gap_N[in_gap_N].max(initial=0)) / NANOSECONDS
    period_s = float(np.median(np.diff(known_M))) / NANOSECONDS if len(known_M) > 1 else 0.0
    return Association(found, int((~inside_N).sum()), int(in_gap_N.sum()), *ranges, max_gap_s, longest_gap_s, period_s)


def _interpolated(poses: Sequence[Pose], earlier_N: np.ndarray, later_N: np.ndarray, share_N: np.ndarray) -> list[Pose]:
    positions_M3, orientations_M4 = stack(list(poses))
    start_N3, way_N3 = positions_M3[earlier_N], positions_M3[later_N] - positions_M3[earlier_N]
    start, end = (Rotation.from_quat(orientations_M4[i], scalar_first=True) for i in (earlier_N, later_N))
    rotated = start * Rotation.from_rotvec(share_N[:, None] * (start.inv() * end).as_rotvec())
    positions_N3, orientations_N4 = start_N3 + share_N[:, None] * way_N3, rotated.as_quat(scalar_first=True)
    return [Pose(position, orientation) for position, orientation in zip(positions_N3, orientations_N4, strict=True)]


def nanoseconds(seconds: str) -> int:
    """A stamp written in seconds as whole nanoseconds, not rounded to float64; ValueError where it is not one."""
    try:
        stamp = Decimal(seconds)
        if abs(stamp) <= Decimal(LARGEST_STAMP_NS) / NANOSECONDS:  # false for inf, an InvalidOperation for nan
            return round(stamp * NANOSECONDS)
    except InvalidOperation:
        pass
    raise ValueError(f"'{seconds}' is not a time stamp in seconds")


def _range_text(range_ns: tuple[int, int]) -> str:
    return f"{range_ns[0] / NANOSECONDS:.3f} to {range_ns[1] / NANOSECONDS:.3f} s"

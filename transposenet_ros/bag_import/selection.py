"""Which images of a recording become part of the data set, each with its pose: those that have one and are new."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np

from transposenet_core.errors import UserError
from transposenet_core.geometry.pose import Pose, rotation_angle_deg
from transposenet_ros.bag_import.names import shown
from transposenet_ros.bag_import.options import ImportOptions
from transposenet_ros.bag_import.poses import CameraPoses
from transposenet_ros.bag_import.transform_log import NoPoseError

NANOSECONDS = 10**9


@dataclass(eq=False)
class Posed:
    """``poses`` has `T_map_camera` by the number of an image's message, in order; ``missing`` why others lack it.

    ``stamps_N`` are those of the images that were asked about, in ns of the poses' clock.
    """

    stamps_N: np.ndarray
    poses: dict[int, Pose] = field(default_factory=dict)
    missing: Counter[str] = field(default_factory=Counter)

    def __str__(self) -> str:
        asked, matched = len(self.stamps_N), len(self.poses)
        reasons = "".join(f"; {count:,} {reason}" for reason, count in self.missing.most_common())
        return f"{matched:,} of {asked:,} images ({matched / max(asked, 1):.1%}) have a pose{reasons}"

    def require(self, name: str, poses: CameraPoses, options: ImportOptions) -> None:
        """UserError where too few images have a pose (fault matrix, T3)."""
        if self.poses and len(self.poses) >= options.min_match * len(self.stamps_N):
            return
        known_N = poses.stamps_ns
        spans = f"images from {_seconds(self.stamps_N.min())} to {_seconds(self.stamps_N.max())}"
        if len(known_N):
            spans += f", poses from {_seconds(known_N[0])} to {_seconds(known_N[-1])}"
        raise UserError(
            f"{name}: only {self}, {options.min_match:.0%} must, with poses at most {options.max_gap:g} s apart "
            f"({'; '.join(filter(None, [spans, poses.rates]))}); allow longer gaps with --max-gap, correct the clock "
            "with --time-offset, cut with --start and --duration, or accept fewer with --min-match"
        )


def images_wanted(name: str, stamps_N: np.ndarray, options: ImportOptions) -> np.ndarray:
    """Numbers of the messages within --start and --duration whose stamp is not that of one before. UserError."""
    if not len(stamps_N):
        raise UserError(f"{name}: no image on {shown(options.image)} can be read; name another topic with --image")
    whole = np.flatnonzero(stamps_N > 0)
    if len(whole) < len(stamps_N) / 2:
        raise UserError(
            f"{name}: {len(stamps_N) - len(whole)} of {len(stamps_N)} images on {shown(options.image)} have no "
            "stamp; use the times of recording with --stamps received"
        )
    _, first = np.unique(stamps_N[whole], return_index=True)
    numbers = whole[np.sort(first)]
    seconds = (stamps_N[numbers] - stamps_N[numbers].min()) / NANOSECONDS - options.start
    numbers = numbers[(seconds >= 0) & (seconds <= options.duration)]
    if not len(numbers):
        raise UserError(f"{name}: no image lies within --start {options.start:g} --duration {options.duration:g}")
    return numbers


def with_poses(stamps_N: np.ndarray, numbers: np.ndarray, poses: CameraPoses, offset_s: float) -> Posed:
    """The poses of the images `numbers`, `offset_s` seconds added to their stamps."""
    posed = Posed(stamps_N[numbers] + round(offset_s * NANOSECONDS))
    for number, stamp_ns in zip(numbers.tolist(), posed.stamps_N.tolist(), strict=True):
        try:
            posed.poses[number] = poses.at(stamp_ns)
        except NoPoseError as error:
            posed.missing[error.reason] += 1
    return posed


def keyframes(poses: Iterable[tuple[int, Pose]], distance_m: float, angle_deg: float) -> Iterator[tuple[int, Pose]]:
    """The first pose, and each that is `distance_m` or `angle_deg` away from the last that was taken."""
    last: Pose | None = None
    for number, pose in poses:
        if (
            last is None
            or np.linalg.norm(pose.position - last.position) >= distance_m
            or rotation_angle_deg(pose.orientation, last.orientation) >= angle_deg
        ):
            last = pose
            yield number, pose


def _seconds(stamp_ns: int) -> str:
    return f"{stamp_ns / NANOSECONDS:.3f} s"

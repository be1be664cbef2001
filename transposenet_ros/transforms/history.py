"""The transforms of one child frame over time: kept as tf2 keeps them, interpolated, never extrapolated."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from typing import NamedTuple

import numpy as np
from scipy.spatial.transform import Rotation, Slerp

from transposenet_core.geometry.pose import Pose
from transposenet_ros.transforms.errors import (
    BackwardExtrapolationError,
    ExtrapolationError,
    ForwardExtrapolationError,
    NoDataForExtrapolationError,
    OldTransformError,
    seconds_text,
)


class Sample(NamedTuple):
    """`T_parent_child` at one stamp."""

    stamp_ns: int
    parent: str
    pose: Pose

    def equals(self, other: Sample) -> bool:
        return (
            self[:2] == other[:2]
            and np.array_equal(self.pose.position, other.pose.position)
            and np.array_equal(self.pose.orientation, other.pose.orientation)
        )


class StaticHistory:
    """The transform of a child that does not move: it is valid at all times and survives `clear`."""

    def __init__(self, sample: Sample) -> None:
        self._sample = sample

    def at(self, stamp_ns: int | None) -> tuple[str, Pose]:
        return self._sample.parent, self._sample.pose

    def newest(self) -> tuple[str, None]:
        """The parent; no stamp, because every time will do."""
        return self._sample.parent, None

    def clear(self) -> None:
        pass


class MovingHistory:
    """The transforms of a child that moves, in the order of their stamps, over the last `cache_ns` nanoseconds."""

    def __init__(self, child: str, cache_ns: int) -> None:
        self._child, self._cache_ns = child, cache_ns
        self._samples: list[Sample] = []

    def insert(self, sample: Sample) -> bool:
        """Keep a sample; false where it repeats one to the last digit. Raises OldTransformError.

        As in tf2, what is too old goes before the new sample is looked at, so that the age is counted from the newest
        sample before it. Of several samples with one stamp, the one received last is the last in the order.
        """
        samples, stamp_ns = self._samples, sample.stamp_ns
        newest_ns = samples[-1].stamp_ns if samples else stamp_ns
        del samples[: bisect_left(samples, newest_ns - self._cache_ns, key=_stamp)]
        if stamp_ns < newest_ns - self._cache_ns:
            raise OldTransformError(
                f"{self._child} at {seconds_text(stamp_ns)} is more than the {self._cache_ns / 1e9:g} s that are kept "
                f"before its newest transform, at {seconds_text(newest_ns)}"
            )
        behind = bisect_right(samples, stamp_ns, key=_stamp)
        if any(sample.equals(same) for same in samples[bisect_left(samples, stamp_ns, key=_stamp) : behind]):
            return False
        samples.insert(behind, sample)
        return True

    def at(self, stamp_ns: int | None) -> tuple[str, Pose]:
        """Parent and `T_parent_child` at a stamp, None for the newest. Raises ExtrapolationError.

        As in tf2: at its stamp a sample holds, of several with that stamp the one received last, but at the oldest
        stamp the one received first. Between two samples with different parents the earlier one holds.
        """
        samples = self._samples
        if samples and stamp_ns is None:
            return samples[-1][1:]
        if stamp_ns is None or not samples or not samples[0].stamp_ns <= stamp_ns <= samples[-1].stamp_ns:
            raise self._missing(stamp_ns)
        if samples[0].stamp_ns == stamp_ns < samples[-1].stamp_ns:
            return samples[0][1:]
        behind = bisect_right(samples, stamp_ns, key=_stamp)
        earlier = samples[behind - 1]
        if earlier.stamp_ns == stamp_ns or earlier.parent != samples[behind].parent:
            return earlier[1:]
        return earlier.parent, _interpolated(earlier, samples[behind], stamp_ns)

    def newest(self) -> tuple[str, int] | None:
        """Parent and stamp of the newest sample, None where there is none."""
        return (self._samples[-1].parent, self._samples[-1].stamp_ns) if self._samples else None

    def clear(self) -> None:
        self._samples.clear()

    def _missing(self, stamp_ns: int | None) -> ExtrapolationError:
        if stamp_ns is None or not self._samples:
            return NoDataForExtrapolationError(
                f"{self._child} has had no transform since the buffer was cleared", stamp_ns, None
            )
        oldest_ns, newest_ns = self._samples[0].stamp_ns, self._samples[-1].stamp_ns
        if len(self._samples) == 1:
            kind: type[ExtrapolationError] = NoDataForExtrapolationError
            known = f"at {seconds_text(oldest_ns)} alone"
        else:
            kind = ForwardExtrapolationError if stamp_ns > newest_ns else BackwardExtrapolationError
            known = f"from {seconds_text(oldest_ns)} to {seconds_text(newest_ns)}"
        link = f"{self._samples[-1].parent}<-{self._child}"
        text = f"{link} is needed at {seconds_text(stamp_ns)}, but known {known}"
        return kind(text, stamp_ns, (oldest_ns, newest_ns))


History = StaticHistory | MovingHistory


def _stamp(sample: Sample) -> int:
    return sample.stamp_ns


def _interpolated(earlier: Sample, later: Sample, stamp_ns: int) -> Pose:
    """Positions along the line, rotations along the shorter arc with constant speed (slerp)."""
    share = (stamp_ns - earlier.stamp_ns) / (later.stamp_ns - earlier.stamp_ns)
    ends = Rotation.from_quat([earlier.pose.orientation, later.pose.orientation], scalar_first=True)
    position = (1 - share) * earlier.pose.position + share * later.pose.position
    return Pose(position, Slerp([0, 1], ends)(share).as_quat(scalar_first=True))

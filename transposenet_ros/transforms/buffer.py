"""A buffer of the transforms between frames over time, with the semantics of tf2's (geometry2, Jazzy).

No ROS messages and no waiting in here: `lookup` returns or raises at once. Deliberately different from tf2: a
stamp of 0 is a time like any other (only None asks for the latest), infinite positions are refused (in tf2 NaN alone),
quaternions are normalised, and a loop is found by its frames (in tf2 after 1000 steps).
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from itertools import takewhile
from typing import TypeVar

import numpy as np

from transposenet_core.geometry.pose import Pose
from transposenet_ros.transforms.claims import Claim, Claims
from transposenet_ros.transforms.errors import (
    ConnectivityError,
    ExtrapolationError,
    InvalidArgumentError,
    LoopError,
    TransformError,
    UnknownFrameError,
    seconds_text,
)
from transposenet_ros.transforms.history import History, MovingHistory, Sample, StaticHistory

Step = TypeVar("Step")


class TransformBuffer:
    """Transforms of the last `cache_time_s` seconds before the newest of each child; safe to use from any thread."""

    def __init__(self, cache_time_s: float = 10.0) -> None:
        self._cache_ns = round(cache_time_s * 1e9)
        self._lock = threading.Lock()
        self._frames: set[str] = set()
        self._histories: dict[str, History] = {}
        self._claims = Claims(self._cache_ns)

    def set_transform(
        self, stamp_ns: int, parent: str, child: str, pose: Pose, static: bool = False, publisher: str = ""
    ) -> None:
        """Take `T_parent_child` at a time, or for all times where it is static; one leading "/" of a name is dropped.

        `publisher` is any name by which the caller tells its sources apart. Raises InvalidArgumentError where a name is
        empty or both are the same, OldTransformError where the transform is older than what is kept.
        """
        parent, child = parent.removeprefix("/"), child.removeprefix("/")
        if not parent or not child:
            raise InvalidArgumentError(f"a frame without a name: parent '{parent}', child '{child}'")
        if parent == child:
            raise InvalidArgumentError(f"the frame '{child}' as its own parent")
        sample = Sample(stamp_ns, parent, pose)
        with self._lock:
            self._frames.update((parent, child))
            if self._keep(child, sample, static):
                self._claims.note(child, parent, publisher, static, stamp_ns)

    def lookup(self, target: str, source: str, stamp_ns: int | None = None) -> Pose:
        """`T_target_source` at a time in ns; None is the latest time at which every transform on the way is known.

        Never waits. Raises InvalidArgumentError, UnknownFrameError, ConnectivityError, LoopError or ExtrapolationError.
        """
        if target == source:
            return Pose(np.zeros(3), np.array([1.0, 0.0, 0.0, 0.0]))
        try:
            with self._lock:
                self._check_known(target)
                self._check_known(source)
                if stamp_ns is None:
                    stamp_ns = self._latest_common_time(target, source)
                poses_target, poses_source = self._ways_up(target, source, lambda history: history.at(stamp_ns))
        except TransformError as error:
            when = "" if stamp_ns is None else f" at {seconds_text(stamp_ns)}"
            error.args = (f"no transform {target}<-{source}{when}: {error}",)
            raise
        return Pose.from_matrix(np.linalg.solve(_product(poses_target), _product(poses_source)))

    def claims(self, child: str) -> tuple[Claim, ...]:
        """The recent claims to the parent of `child`.

        The exact repetition of a transform is not a claim, from any publisher.
        """
        with self._lock:
            return self._claims.of(child)

    def conflicts(self) -> dict[str, tuple[Claim, ...]]:
        """The children with more than one claim: of several parents, several publishers, or both moving and static."""
        with self._lock:
            return self._claims.conflicts()

    def clear(self) -> None:
        """Clear all moving transforms, as after a jump of the clock; static transforms and the names of frames stay."""
        with self._lock:
            for history in self._histories.values():
                history.clear()
            self._claims.clear_moving()

    def _keep(self, child: str, sample: Sample, static: bool) -> bool:
        """False where the sample repeats one; a child that turns static, or begins to move, loses its past."""
        if static:
            self._histories[child] = StaticHistory(sample)
            return True
        history = self._histories.get(child)
        if not isinstance(history, MovingHistory):
            history = self._histories[child] = MovingHistory(child, self._cache_ns)
        return history.insert(sample)

    def _check_known(self, frame: str) -> None:
        if not frame or frame.startswith("/"):
            raise InvalidArgumentError(f"'{frame}' is not a frame name; it must not be empty nor begin with '/'")
        if frame not in self._frames:
            raise UnknownFrameError(f"no transform has named the frame '{frame}' yet")

    def _latest_common_time(self, target: str, source: str) -> int | None:
        """None where nothing on the way moves."""
        stamps_target, stamps_source = self._ways_up(target, source, lambda history: history.newest())
        return min((stamp for stamp in [*stamps_target, *stamps_source] if stamp is not None), default=None)

    def _ways_up(
        self, target: str, source: str, step_of: Callable[[History], tuple[str, Step] | None]
    ) -> tuple[list[Step], list[Step]]:
        """What `step_of` gives beside the parent, from `target` and from `source` up to their nearest common ancestor.

        As in tf2, a transform missing above `target` is reported before one missing above `source`.
        """
        top, steps_source, missing_source = self._climb(source, {target}, step_of)
        meeting, steps_target, missing_target = self._climb(target, {*steps_source, top}, step_of)
        if missing_target is not None:
            raise missing_target
        if meeting not in (*steps_source, top):
            raise missing_source or ConnectivityError(
                f"'{source}' is under '{top}' and '{target}' under '{meeting}', and nothing connects the two"
            )
        below_meeting = takewhile(lambda frame: frame != meeting, steps_source)
        return list(steps_target.values()), [steps_source[frame] for frame in below_meeting]

    def _climb(
        self, start: str, goals: set[str], step_of: Callable[[History], tuple[str, Step] | None]
    ) -> tuple[str, dict[str, Step], ExtrapolationError | None]:
        """Where the way up ends (at a goal, or without a parent), the steps by frame, and the error that ended it."""
        frame, steps = start, dict[str, Step]()
        while frame not in goals and (history := self._histories.get(frame)):
            if frame in steps:
                raise LoopError(f"the ancestors of '{start}' form a loop through '{frame}'")
            try:
                step = step_of(history)
            except ExtrapolationError as error:
                return frame, steps, error
            if step is None:
                break
            steps[frame] = step[1]
            frame = step[0]
        return frame, steps, None


def _product(poses: list[Pose]) -> np.ndarray:
    """`T_top_bottom` (4, 4) of the poses on the way up from bottom to top."""
    T_44 = np.eye(4)
    for pose in poses:
        T_44 = pose.matrix_44 @ T_44
    return T_44

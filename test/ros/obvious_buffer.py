"""tf2's rules in their simplest form, as a reference for the transform buffer."""

from __future__ import annotations

import numpy as np

from transposenet_core.geometry.pose import Pose
from transposenet_ros.transforms.errors import (
    BackwardExtrapolationError,
    ConnectivityError,
    ExtrapolationError,
    ForwardExtrapolationError,
    InvalidArgumentError,
    LoopError,
    NoDataForExtrapolationError,
    OldTransformError,
    UnknownFrameError,
)

Entry = tuple[int, str, Pose]


def slerp_by_hand(a_wxyz: np.ndarray, b_wxyz: np.ndarray, share: float) -> np.ndarray:
    b_wxyz = b_wxyz if a_wxyz @ b_wxyz >= 0 else -b_wxyz
    angle = np.arctan2(np.linalg.norm(b_wxyz - (a_wxyz @ b_wxyz) * a_wxyz), a_wxyz @ b_wxyz)
    if angle < 1e-9:
        return (1 - share) * a_wxyz + share * b_wxyz
    return (np.sin((1 - share) * angle) * a_wxyz + np.sin(share * angle) * b_wxyz) / np.sin(angle)


def between_by_hand(a: Pose, b: Pose, share: float) -> Pose:
    position = a.position + share * (b.position - a.position)
    return Pose(position, slerp_by_hand(a.orientation, b.orientation, share))


class ObviousBuffer:
    """Lists in the order of arrival, searched whole, and ways that go up to the top of the tree."""

    def __init__(self, cache_ns: int) -> None:
        self.cache_ns = cache_ns
        self.moving: dict[str, list[Entry]] = {}
        self.static: dict[str, Entry] = {}
        self.known: set[str] = set()

    def set_transform(self, stamp_ns: int, parent: str, child: str, pose: Pose, static: bool) -> None:
        if parent == child:
            raise InvalidArgumentError
        self.known |= {parent, child}
        if static:
            self.moving.pop(child, None)
            self.static[child] = stamp_ns, parent, pose
            return
        self.static.pop(child, None)
        entries = self.moving.setdefault(child, [])
        kept_from = max((entry[0] for entry in entries), default=stamp_ns) - self.cache_ns
        entries[:] = [entry for entry in entries if entry[0] >= kept_from]
        if stamp_ns < kept_from:
            raise OldTransformError
        if (stamp_ns, parent, pose) not in entries:
            entries.append((stamp_ns, parent, pose))

    def clear(self) -> None:
        for entries in self.moving.values():
            entries.clear()

    def link(self, child: str, stamp_ns: int | None) -> tuple[str, Pose]:
        if child in self.static:
            return self.static[child][1:]
        entries = self.moving[child]
        stamps = [entry[0] for entry in entries]
        if not entries:
            raise NoDataForExtrapolationError("", stamp_ns, None)
        oldest, newest = min(stamps), max(stamps)
        wanted = newest if stamp_ns is None else stamp_ns
        if exact := [entry for entry in entries if entry[0] == wanted]:
            return exact[0 if wanted == oldest < newest else -1][1:]
        if len(entries) == 1:
            raise NoDataForExtrapolationError("", wanted, (oldest, newest))
        if wanted > newest:
            raise ForwardExtrapolationError("", wanted, (oldest, newest))
        if wanted < oldest:
            raise BackwardExtrapolationError("", wanted, (oldest, newest))
        before, after = max(s for s in stamps if s < wanted), min(s for s in stamps if s > wanted)
        _, parent, pose = [entry for entry in entries if entry[0] == before][-1]
        _, next_parent, next_pose = next(entry for entry in entries if entry[0] == after)
        if parent != next_parent:
            return parent, pose
        return parent, between_by_hand(pose, next_pose, (wanted - before) / (after - before))

    def lookup(self, target: str, source: str, stamp_ns: int | None) -> Pose:
        if not {target, source} <= self.known:
            raise UnknownFrameError
        if stamp_ns is None:
            stamp_ns = self.latest_common_time(target, source)
        top, T_top_source, missing_source = self.way_up(source, target, stamp_ns)
        end, T_end_target, missing_target = self.way_up(target, top, stamp_ns)
        if end != top:
            raise missing_target or missing_source or ConnectivityError
        return Pose.from_matrix(np.linalg.inv(T_end_target) @ T_top_source)

    def way_up(self, start: str, goal: str, stamp_ns: int | None) -> tuple[str, np.ndarray, ExtrapolationError | None]:
        frame, T_frame_start = start, np.eye(4)
        for _ in range(100):
            if frame == goal or not (frame in self.static or frame in self.moving):
                return frame, T_frame_start, None
            try:
                frame, pose = self.link(frame, stamp_ns)
            except ExtrapolationError as error:
                return frame, T_frame_start, error
            T_frame_start = pose.matrix_44 @ T_frame_start
        raise LoopError

    def latest_common_time(self, target: str, source: str) -> int | None:
        chain_source = self.newest_chain(source, [target])
        chain_target = self.newest_chain(target, chain_source)
        common = chain_target[-1]
        if common not in chain_source:
            raise ConnectivityError
        below = [
            *chain_source[: chain_source.index(common)],
            *chain_target[: chain_target.index(common)],
        ]
        return min((max(entry[0] for entry in self.moving[f]) for f in below if f in self.moving), default=None)

    def newest_chain(self, start: str, goals: list[str]) -> list[str]:
        chain = [start]
        while chain[-1] not in goals and (chain[-1] in self.static or self.moving.get(chain[-1])):
            chain.append(self.link(chain[-1], None)[0])
            if len(chain) > 100:
                raise LoopError
        return chain

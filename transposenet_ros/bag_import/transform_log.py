"""All transforms of a recording, stored compactly, and lookups in them by `TransformBuffer`, so with tf2's rules.

An hour of joints at 100 Hz does not fit into a buffer's objects. Here a moving transform takes 72 bytes, and a buffer
gets the two around the time that is asked for.
"""

from __future__ import annotations

from array import array
from typing import Any

import numpy as np

from transposenet_core.errors import UserError
from transposenet_core.geometry.pose import Pose
from transposenet_ros.bag_import.names import listed, shown
from transposenet_ros.transforms.buffer import TransformBuffer
from transposenet_ros.transforms.conversion import received_pose
from transposenet_ros.transforms.errors import TransformError

SEVEN = 7  # x y z in metres, quaternion w x y z


class NoPoseError(Exception):
    """There is no pose at a time; `reason` is what such times are counted under."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class _Link:
    """The transforms of one moving child, in the order of their stamps from :meth:`sort` on."""

    def __init__(self) -> None:
        self.stamps_ns, self.values, self.parents = array("q"), array("d"), array("L")

    def append(self, stamp_ns: int, parent: int, pose: Pose) -> None:
        self.stamps_ns.append(stamp_ns)
        self.parents.append(parent)
        self.values.extend((*pose.position, *pose.orientation))

    def sort(self) -> None:
        """Of several with one stamp the one received last comes last, and is used."""
        self.stamps_N = np.frombuffer(self.stamps_ns, np.int64)
        order_N = np.argsort(self.stamps_N, kind="stable")
        self.stamps_N = self.stamps_N[order_N]
        self.values_N7 = np.frombuffer(self.values, np.float64).reshape(-1, SEVEN)[order_N]
        self.parents_N = np.frombuffer(self.parents, np.dtype("L"))[order_N]
        self.stamps_ns, self.values, self.parents = array("q"), array("d"), array("L")

    def around(self, stamp_ns: int, max_gap_ns: int, name: str) -> list[int]:
        """The samples needed for the child at a time: the one of that stamp, or the two around it."""
        behind = int(np.searchsorted(self.stamps_N, stamp_ns, side="right"))
        if behind and self.stamps_N[behind - 1] == stamp_ns:
            return [behind - 1]
        if behind in (0, len(self.stamps_N)):
            raise NoPoseError(f"before the first or behind the last transform of {name}")
        if self.stamps_N[behind] - self.stamps_N[behind - 1] > max_gap_ns:
            raise NoPoseError(f"in a gap of {name}")
        return [behind - 1, behind]


class TransformLog:
    """Collects every transform, then serves lookups; call :meth:`finish` between the two."""

    def __init__(self) -> None:
        self.refused = 0
        self._static: dict[str, tuple[str, Pose]] = {}
        self._moving: dict[str, _Link] = {}
        self._numbers: dict[str, int] = {}
        self._names: list[str] = []
        self._ways: dict[tuple[str, str], list[str]] = {}

    def take(self, message: Any, static: bool, time_ns: int | None = None) -> None:
        """A TFMessage; `time_ns` instead of its stamps where it is given. What tf2 refuses is counted."""
        for stamped in message.transforms:
            parent, child = stamped.header.frame_id.removeprefix("/"), stamped.child_frame_id.removeprefix("/")
            p, q, stamp = stamped.transform.translation, stamped.transform.rotation, stamped.header.stamp
            try:
                pose = received_pose(np.array([p.x, p.y, p.z]), np.array([q.w, q.x, q.y, q.z]))
            except TransformError:
                self.refused += 1
                continue
            if not parent or not child or parent == child:
                self.refused += 1
            elif static:
                self._static[child] = parent, pose
            else:
                stamp_ns = stamp.sec * 10**9 + stamp.nanosec if time_ns is None else time_ns
                self._moving.setdefault(child, _Link()).append(stamp_ns, self._number(parent), pose)

    def finish(self) -> None:
        """No more transforms come."""
        for link in self._moving.values():
            link.sort()

    @property
    def frames(self) -> set[str]:
        return {*self._static, *self._moving, *self._names, *(parent for parent, _ in self._static.values())}

    def is_static(self, target: str, source: str) -> bool:
        return not any(child in self._moving for child in self._way(target, source))

    def stamps_ns(self, target: str, source: str) -> np.ndarray:
        """(N,) int64: the stamps of the moving links between two frames, ascending."""
        stamps = [self._moving[child].stamps_N for child in self._way(target, source) if child in self._moving]
        return np.unique(np.concatenate(stamps)) if stamps else np.zeros(0, np.int64)

    def connects(self, target: str, source: str) -> bool:
        """Whether transforms lead from one frame to the other."""
        try:
            return bool(self._way(target, source)) or target == source
        except UserError:
            return False

    def samples(self, target: str, source: str) -> tuple[np.ndarray, np.ndarray]:
        """Stamps (N,) int64, ascending, and values (N, 7) of the moving transform next to `target` on the way."""
        for child in reversed(self._way(target, source)):
            if link := self._moving.get(child):
                last_N = np.append(np.diff(link.stamps_N) > 0, True)  # of several with one stamp the last holds
                return link.stamps_N[last_N], link.values_N7[last_N]
        return np.zeros(0, np.int64), np.zeros((0, SEVEN))

    def rates(self, target: str, source: str) -> str:
        """How often the moving links between two frames were recorded, as text."""
        texts = []
        for child in self._way(target, source):
            if child in self._moving and len(stamps_N := self._moving[child].stamps_N) > 1:
                gaps_s = np.diff(stamps_N) / 1e9
                texts.append(f"{shown(child)} every {np.median(gaps_s):.3g} s, at most {gaps_s.max():.3g} s apart")
        return "; ".join(texts)

    def check(self, target: str, source: str, option: str) -> None:
        """UserError with the known frames where `option` names one that is unknown or nothing connects the two."""
        for frame in (target, source):
            if frame not in self.frames:
                known = listed(self.frames, "none: there is no /tf and no /tf_static in it")
                raise UserError(
                    f"{option}: no transform names the frame {shown(frame) or 'without a name'}; frames of the "
                    f"recording are {known}"
                )
        self._way(target, source, option)

    def lookup(self, target: str, source: str, stamp_ns: int, max_gap_ns: int) -> Pose:
        """`T_target_source` at a time. NoPoseError beyond the transforms or in a gap of more than `max_gap_ns`."""
        buffer = TransformBuffer()
        for child in self._way(target, source):
            link = self._moving.get(child)
            if link is None:
                parent, pose = self._static[child]
                buffer.set_transform(0, parent, child, pose, static=True)
                continue
            for index in link.around(stamp_ns, max_gap_ns, shown(child)):
                x, q = link.values_N7[index, :3], link.values_N7[index, 3:]
                parent = self._names[link.parents_N[index]]
                buffer.set_transform(int(link.stamps_N[index]), parent, child, Pose(x, q))
        try:
            return buffer.lookup(target, source, stamp_ns)
        except TransformError as error:  # frames that change their parent
            raise NoPoseError(f"{type(error).__name__} between {shown(target)} and {shown(source)}") from None
        except ValueError:
            raise NoPoseError(f"beyond all numbers between {shown(target)} and {shown(source)}") from None

    def _way(self, target: str, source: str, option: str = "the transforms") -> list[str]:
        """The children of all links between two frames."""
        if (target, source) not in self._ways:
            up_target, up_source = self._up(target), self._up(source)
            meeting = next((frame for frame in up_source if frame in up_target), None)
            if meeting is None:
                raise UserError(
                    f"{option}: nothing in the recording's transforms connects {shown(source)} (under "
                    f"{shown(up_source[-1])}) with {shown(target)} (under {shown(up_target[-1])}); frames of the "
                    f"recording are {listed(self.frames)}"
                )
            ways = up_target[: up_target.index(meeting)], up_source[: up_source.index(meeting)]
            self._ways[target, source] = [*ways[0], *ways[1]]
        return self._ways[target, source]

    def _up(self, frame: str) -> list[str]:
        """The frame and its ancestors; a moving child's parent is the one it had last."""
        way = [frame]
        while (parent := self._parent(way[-1])) is not None and parent not in way:
            way.append(parent)
        return way

    def _parent(self, child: str) -> str | None:
        if link := self._moving.get(child):
            return self._names[link.parents_N[-1]]
        return self._static[child][0] if child in self._static else None

    def _number(self, frame: str) -> int:
        if frame not in self._numbers:
            self._numbers[frame] = len(self._names)
            self._names.append(frame)
        return self._numbers[frame]

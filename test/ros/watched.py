"""A localizer under observation: its diagnostics, what it publishes, and a clock that the test sets."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import numpy as np
from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import PoseStamped
from lifecycle_msgs.msg import Transition
from live import Client, Process, image_message, localizer_process, seconds_of, wait_until
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import Image

from transposenet_ros.replay.processes import free_domain


@dataclass
class Watched:
    """An active node with its diagnostics (and, where they are listened to, its poses)."""

    domain: int
    process: Process
    client: Client
    diagnostics: list[DiagnosticArray]
    poses: list[PoseStamped]

    def camera(self, topic: str = "/image", reliable: bool = True) -> Any:
        return self.client.image_publisher(Image, topic, reliable)

    def pose_at(self, seconds: float, timeout: float = 20.0) -> PoseStamped:
        """The pose that was published under an image's stamp."""
        stamp = image_message(np.zeros((1, 1, 3), np.uint8), seconds).header.stamp
        return wait_until(
            lambda: next((pose for pose in list(self.poses) if pose.header.stamp == stamp), None), "a pose", timeout
        )

    def reconfigure(self, **parameters: object) -> None:
        """Configure and activate anew with other parameters."""
        for step in (Transition.TRANSITION_DEACTIVATE, Transition.TRANSITION_CLEANUP):
            assert self.client.change_state(step)
        assert self.client.set_parameters(**parameters) == (True, "")
        for step in (Transition.TRANSITION_CONFIGURE, Transition.TRANSITION_ACTIVATE):
            assert self.client.change_state(step), self.process.log

    def values(self) -> dict[str, str]:
        """The values of the newest diagnostics."""
        return {pair.key: pair.value for pair in self.diagnostics[-1].status[0].values}

    def count(self, reason: str) -> int:
        return int(self.values().get(f"dropped_{reason}", 0))

    def wait_for_count(self, reason: str, count: int) -> None:
        wait_until(lambda: self.count(reason) == count, f"{count} times {reason}")

    def wait_for_level(self, level: bytes, words: str = "", timeout: float = 20.0) -> str:
        """The message of the first diagnostics after this call with a level and words in its message."""
        seen = len(self.diagnostics)

        def found() -> str | None:
            statuses = [message.status[0] for message in self.diagnostics[seen:]]
            return next((s.message for s in statuses if s.level == level and words in s.message), None)

        return wait_until(found, f"level {level!r} with {words!r}", timeout)


@contextmanager
def watched(model: Path, *ros_arguments: str, listen: bool = True, **parameters: object) -> Iterator[Watched]:
    with (
        free_domain() as domain,
        localizer_process(domain, model, *ros_arguments, **parameters) as process,
        Client(domain) as client,
    ):
        diagnostics = client.collect(DiagnosticArray, "/diagnostics")
        poses = client.collect(PoseStamped, "/localizer/pose") if listen else []
        client.wait_for_state("active")
        wait_until(lambda: diagnostics, "diagnostics")
        yield Watched(domain, process, client, diagnostics, poses)


@final
class SimTime:
    """/clock, from a thread every `period` seconds of wall time, at `rate` times its speed; it can be set and stopped.

    With `rate` 0 time moves when the test sets it.
    """

    def __init__(self, watched: Watched, start: float, rate: float = 0.0, period: float = 0.02) -> None:
        self._watched, self._rate, self._period = watched, rate, period
        self._publisher = watched.client.node.create_publisher(Clock, "/clock", 10)
        self._ended = threading.Event()
        self._origin = (time.monotonic(), start)
        self._thread = threading.Thread(target=self._run, daemon=True)

    def now(self) -> float:
        wall, sim = self._origin
        return sim + (time.monotonic() - wall) * self._rate

    def set(self, seconds: float) -> None:
        """Set another time, and wait until the node has received it."""
        self._origin = (time.monotonic(), seconds)
        known = self._watched.diagnostics
        wait_until(lambda: abs(seconds_of(known[-1]) - self.now()) < 0.5 + self._rate, "the node to take the time over")

    def _run(self) -> None:
        while not self._ended.wait(self._period):
            nanoseconds = round(self.now() * 1e9)
            self._publisher.publish(Clock(clock=Time(sec=nanoseconds // 10**9, nanosec=nanoseconds % 10**9)))

    def __enter__(self) -> SimTime:
        self._thread.start()
        self.set(self.now())
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()
        self._watched.client.node.destroy_publisher(self._publisher)

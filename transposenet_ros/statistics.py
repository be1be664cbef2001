"""What happened to every frame: counts by reason and latencies by stage, safe to read from another thread."""

from __future__ import annotations

import threading
from collections import Counter, deque
from dataclasses import dataclass

import numpy as np

RECENT_FRAMES = 300


@dataclass(frozen=True)
class Snapshot:
    """Counts since configure, and latencies (p50, p95) in milliseconds of the last `RECENT_FRAMES` frames.

    ``received`` is the sum of ``localized``, all of ``dropped`` and the frames in hand.
    """

    received: int
    localized: int
    dropped: dict[str, int]
    latencies: dict[str, tuple[float, float]]


class Statistics:
    """Counters of one configured life; the executor counts what arrives, the worker what becomes of it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._received = self._localized = 0
        self._dropped: Counter[str] = Counter()
        self._latencies: dict[str, deque[float]] = {}

    def receive(self) -> None:
        with self._lock:
            self._received += 1

    def drop(self, reason: str) -> None:
        """A frame without a pose, for a named reason."""
        with self._lock:
            self._dropped[reason] += 1

    def localize(self) -> None:
        with self._lock:
            self._localized += 1

    def time(self, **seconds: float) -> None:
        """Seconds that one frame took: `latency` from arrival to publication (waiting for the worker included),
        `inference`, and `overhead`, which is decoding and publishing."""
        with self._lock:
            for stage, duration in seconds.items():
                self._latencies.setdefault(stage, deque(maxlen=RECENT_FRAMES)).append(duration)

    def snapshot(self) -> Snapshot:
        with self._lock:
            latencies = {stage: np.array(durations) for stage, durations in self._latencies.items()}
            received, localized, dropped = self._received, self._localized, dict(self._dropped)
        percentiles = {stage: np.percentile(1e3 * values, (50, 95)) for stage, values in latencies.items()}
        return Snapshot(
            received, localized, dropped, {stage: (float(a), float(b)) for stage, (a, b) in percentiles.items()}
        )

"""The outcome of every frame: counts by reason, rates and ages on the node's clock, latencies by stage."""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from transposenet_ros import reasons

RECENT_FRAMES = 300
RATE_SECONDS = 3.0


@dataclass(frozen=True)
class Snapshot:
    """Counts since configure; the rest is of now.

    ``received`` is the sum of ``localized``, all of ``dropped`` and the frames in progress; ``lost`` never arrived.
    Rates are in frames per second of the node's clock, over the last `RATE_SECONDS`; ``silence_s`` is the time since a
    frame arrived, None before the first. ``latencies`` by stage and ``age`` (p50, p95, milliseconds) and
    ``localized_share`` are of the last `RECENT_FRAMES`, ``refined_share`` of the last localized ones whose scene has
    keyframes; ``in_a_row`` is how often the newest reason for no pose came without any other outcome between.
    """

    received: int = 0
    localized: int = 0
    dropped: dict[str, int] = field(default_factory=dict)
    latencies: dict[str, tuple[float, float]] = field(default_factory=dict)
    input_rate: float = 0.0
    output_rate: float = 0.0
    silence_s: float | None = None
    localized_share: float | None = None
    refined_share: float | None = None
    in_a_row: tuple[str, int] = ("", 0)
    lost: int = 0


class Statistics:
    """Thread-safe counters from configure to cleanup: the executor counts arrivals, the worker outcomes. Every
    `now_ns` is on the node's clock."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._received = self._localized = self._lost = 0
        self._dropped: Counter[str] = Counter()
        self._seconds: dict[str, deque[float]] = {}
        self._outcomes: deque[bool] = deque(maxlen=RECENT_FRAMES)
        self._refined: deque[bool] = deque(maxlen=RECENT_FRAMES)
        self._in_a_row = ("", 0)
        self._arrivals: deque[int] = deque(maxlen=RECENT_FRAMES)
        self._outputs: deque[int] = deque(maxlen=RECENT_FRAMES)
        self._heard_ns: int | None = None

    def receive(self, now_ns: int) -> None:
        with self._lock:
            self._received += 1
            self._heard_ns = now_ns
            self._arrivals.append(now_ns)

    def lose(self, frames: int) -> None:
        """Frames that were sent and did not arrive."""
        with self._lock:
            self._lost += frames

    def drop(self, reason: str) -> None:
        """A frame without a pose. ValueError for a reason that is not in the table, `reasons.ROWS`."""
        if reason not in reasons.ROWS:
            raise ValueError(f"'{reason}' is not one of the reasons in transposenet_ros.reasons")
        with self._lock:
            self._dropped[reason] += 1
            if reason not in reasons.NOT_IN_LOCALIZED_SHARE:
                self._outcomes.append(False)
                self._in_a_row = (reason, self._in_a_row[1] + 1 if reason == self._in_a_row[0] else 1)

    def localize(self, now_ns: int, refined: bool | None = None) -> None:
        """A frame whose pose was published; `refined` is None where there are no keyframes to refine it against."""
        with self._lock:
            if refined is not None:
                self._refined.append(refined)
            self._localized += 1
            self._outcomes.append(True)
            self._in_a_row = ("", 0)
            self._outputs.append(now_ns)

    def time(self, **seconds: float) -> None:
        """Seconds that one frame took by stage: those of `delays`, `waiting` for the worker, `decode`, `inference`,
        `refine` where there are keyframes, `publish`, `overhead` (decode and publish), `latency` from arrival to
        publication, and `age` from its stamp to then."""
        with self._lock:
            for stage, duration in seconds.items():
                self._seconds.setdefault(stage, deque(maxlen=RECENT_FRAMES)).append(duration)

    def restart_time(self, heard_ns: int | None = None) -> None:
        """Clear what is measured on the node's clock, which has jumped; `heard_ns` counts as the last arrival."""
        with self._lock:
            self._arrivals.clear()
            self._outputs.clear()
            self._seconds.pop("age", None)
            self._heard_ns = heard_ns if self._heard_ns is not None else None

    def snapshot(self, now_ns: int) -> Snapshot:
        with self._lock:
            return Snapshot(
                self._received,
                self._localized,
                dict(self._dropped),
                {stage: _percentiles_ms(seconds) for stage, seconds in self._seconds.items()},
                _rate(self._arrivals, now_ns),
                _rate(self._outputs, now_ns),
                None if self._heard_ns is None else (now_ns - self._heard_ns) * 1e-9,
                float(np.mean(self._outcomes)) if self._outcomes else None,
                float(np.mean(self._refined)) if self._refined else None,
                self._in_a_row,
                self._lost,
            )


def _percentiles_ms(seconds: Iterable[float]) -> tuple[float, float]:
    p50, p95 = np.percentile(1e3 * np.fromiter(seconds, float), (50, 95))
    return float(p50), float(p95)


def _rate(moments_ns: Iterable[int], now_ns: int) -> float:
    """Events per second between the oldest of the last `RATE_SECONDS` and now; 0 for fewer than two."""
    recent = [moment for moment in moments_ns if now_ns - moment <= RATE_SECONDS * 1e9]
    return (len(recent) - 1) / ((now_ns - recent[0]) * 1e-9) if len(recent) > 1 and now_ns > recent[0] else 0.0

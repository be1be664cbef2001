"""Which images have a stamp that a pose can carry. Pure: nanoseconds since 1970 in, nanoseconds or a reason out."""

from __future__ import annotations

from dataclasses import dataclass

from transposenet_ros import reasons

SECOND_NS = 1_000_000_000
# No network delays an image by a minute: stamps further behind are from a recording or another clock.
OTHER_CLOCK_NS = 60 * SECOND_NS
# Networks reorder neighbouring images, not images this far apart.
REWIND_NS = 5 * SECOND_NS
# Between two replays of a recording a program has to start.
PAUSE_NS = 2 * SECOND_NS
# Refused images that follow each other in order begin a new time segment, such as a short recording's loop.
REWIND_FRAMES = 4


class HeaderError(Exception):
    """A header that no pose can carry; `reason` is the name it is counted under."""

    def __init__(self, reason: str, text: str) -> None:
        super().__init__(text)
        self.reason = reason


@dataclass(frozen=True)
class StampRules:
    """The parameters of these names, times in ns; `max_age_ns` 0 takes images of any age."""

    receive_time: bool = False
    future_tolerance_ns: int = SECOND_NS
    max_age_ns: int = 5 * SECOND_NS


class StampGate:
    """Lets each stamp pass once and in order, on the node's clock where the camera's is the same.

    ``segment`` numbers the time segments: it grows when the clock or the stamps jump back, and a pose of an earlier
    segment is out of date. ``behind_ns`` is how far the last image was behind the node's clock, where that is so far
    that the two cannot be the same clock (and `max_age_ns` is not 0); else 0.
    """

    def __init__(self, rules: StampRules) -> None:
        self._rules = rules
        self.segment = 0
        self.restart()

    def restart(self) -> None:
        """Forget the stamps so far: time has jumped."""
        self.segment += 1
        self.behind_ns = 0
        self._now_ns = 0
        self._last_ns: int | None = None
        self._on_our_clock = False
        self._refused_ns, self._refused_in_order = 0, 0

    def admit(self, stamp_ns: int, now_ns: int) -> int:
        """The stamp to publish under, when the node's clock is at `now_ns` (0: it has no time yet).

        HeaderError with the reason zero_stamp, future_stamp, duplicate_stamp, stale or out_of_order.
        """
        if now_ns < self._now_ns:
            self.restart()
        pause_ns, self._now_ns = now_ns - self._now_ns, now_ns
        stamp_ns = self._given(stamp_ns, now_ns)
        fault = self._fault(stamp_ns, now_ns)
        if fault is not None:
            if not self._begins_a_segment(stamp_ns, fault.reason, pause_ns):
                raise fault
            self.restart()
            self._now_ns = now_ns
        lag_ns = now_ns - stamp_ns
        self._last_ns, self._refused_in_order = stamp_ns, 0
        self._on_our_clock = now_ns > 0 and lag_ns <= OTHER_CLOCK_NS
        self.behind_ns = lag_ns if self._rules.max_age_ns and lag_ns > OTHER_CLOCK_NS else 0
        return stamp_ns

    def _given(self, stamp_ns: int, now_ns: int) -> int:
        if stamp_ns:
            return stamp_ns
        if self._rules.receive_time and now_ns:
            return now_ns
        raise HeaderError(
            reasons.ZERO_STAMP,
            "the image has no time stamp; let its publisher set header.stamp, or set parameter 'stamp_policy' to "
            "'receive_time'",
        )

    def _fault(self, stamp_ns: int, now_ns: int) -> HeaderError | None:
        rules, lag_ns = self._rules, now_ns - stamp_ns
        if now_ns and -lag_ns > rules.future_tolerance_ns:
            allowed = f"parameter 'future_tolerance' is {rules.future_tolerance_ns / SECOND_NS:g} s"
            text = f"it is {_seconds(-lag_ns)} ahead of the node's clock, {allowed}; synchronise camera and node"
            return HeaderError(reasons.FUTURE_STAMP, text)
        if stamp_ns == self._last_ns:
            return HeaderError(reasons.DUPLICATE_STAMP, "it has the same stamp as the image before it")
        if now_ns and 0 < rules.max_age_ns < lag_ns and (self._on_our_clock or lag_ns <= OTHER_CLOCK_NS):
            allowed = f"parameter 'max_age' is {rules.max_age_ns / SECOND_NS:g} s"
            hint = "for a recording set use_sim_time and play it with --clock, or set max_age to 0.0"
            return HeaderError(reasons.STALE, f"it is {_seconds(lag_ns)} behind the node's clock, {allowed}; {hint}")
        if self._last_ns is not None and stamp_ns < self._last_ns:
            older = _seconds(self._last_ns - stamp_ns)
            return HeaderError(reasons.OUT_OF_ORDER, f"it is {older} older than the image before it")
        return None

    def _begins_a_segment(self, stamp_ns: int, reason: str, pause_ns: int) -> bool:
        """Whether a refused image shows that the stamps have jumped, rather than being late itself."""
        if reason == reasons.OUT_OF_ORDER and self._last_ns is not None:
            replayed = pause_ns >= PAUSE_NS and not self._on_our_clock
            if replayed or self._last_ns - stamp_ns >= REWIND_NS:
                return True
        elif reason != reasons.STALE or self._now_ns - stamp_ns <= OTHER_CLOCK_NS:
            return False
        follows = self._refused_in_order and stamp_ns > self._refused_ns
        self._refused_ns, self._refused_in_order = stamp_ns, self._refused_in_order + 1 if follows else 1
        return self._refused_in_order >= REWIND_FRAMES


def _seconds(duration_ns: int) -> str:
    return f"{duration_ns / SECOND_NS:.3f} s"


def camera_frame(frame_id: str, parameter: str) -> str:
    """The camera's frame: `parameter` where it is set, else the image's `frame_id`; tf2 has no leading slash.

    HeaderError with the reason no_frame_id where both are empty.
    """
    if name := (parameter or frame_id).lstrip("/"):
        return name
    raise HeaderError(reasons.NO_FRAME_ID, "the image has no frame_id; set it there or in parameter 'camera_frame'")

"""The way of an image through the node: admit, decode, localize, publish; every drop is counted under a reason."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from builtin_interfaces.msg import Time
from rclpy.clock import JumpThreshold, TimeJump
from rclpy.duration import Duration
from rclpy.lifecycle import LifecycleNode

from transposenet_core.estimate import Estimate
from transposenet_ros import reasons
from transposenet_ros.decoding.image_decoding import DecodeError
from transposenet_ros.frame_localizer import FrameError, FrameLocalizer
from transposenet_ros.input.mailbox import Worker
from transposenet_ros.input.stamps import OTHER_CLOCK_NS, SECOND_NS, HeaderError, StampGate, StampRules, camera_frame
from transposenet_ros.output.frame import Frame, Output
from transposenet_ros.parameters import Parameters
from transposenet_ros.statistics import Statistics
from transposenet_ros.throttled_log import ThrottledLog

# A clock that plays a recording fast comes in steps, but in none of this size.
CLOCK_JUMP = JumpThreshold(min_forward=Duration(seconds=60), min_backward=Duration(nanoseconds=-1))


@dataclass(frozen=True)
class Arrival:
    """A message with a valid header; `segment` is the time segment that it belongs to, `asked` means that it was
    requested by ~/relocalize while frames are switched off, `delays` are the seconds of each stage on its way here."""

    message: Any
    stamp_ns: int
    camera_frame: str
    segment: int
    asked: bool
    seconds: float
    delays: dict[str, float]


class FrameWorker:
    """Takes messages from the executor without blocking it and processes the newest in its own thread.

    `put` runs in the executor's thread, as do the gate for stamps, the clock, and `on_new_time`, which is called as
    soon as a jump of time is detected; everything else runs in the worker's. `is_waited_for` returns whether
    ~/relocalize still waits for further frames.
    """

    def __init__(
        self,
        node: LifecycleNode,
        frame_localizer: FrameLocalizer,
        parameters: Parameters,
        outputs: Sequence[Output],
        statistics: Statistics,
        topic: str,
        on_new_time: Callable[[], None],
        is_waited_for: Callable[[], bool],
    ) -> None:
        self._log, self._context, self._clock = ThrottledLog(node.get_logger()), node.context, node.get_clock()
        self._frame_localizer, self._outputs = frame_localizer, outputs
        self._statistics, self._topic, self._parameters = statistics, topic, parameters
        self._on_new_time, self._is_waited_for = on_new_time, is_waited_for
        self._gate = StampGate(stamp_rules(parameters))
        self._camera_frame, self._segment = "", self._gate.segment
        self._enabled, self._one_shot = True, False
        self._worker: Worker[Arrival] = Worker(self._handle)
        self._jumps = self._clock.create_jump_callback(CLOCK_JUMP, post_callback=self._on_clock_jump)

    @property
    def stamps_behind_s(self) -> float:
        """How far the camera's clock is behind the node's where the two cannot be the same, else 0."""
        return self._gate.behind_ns / SECOND_NS

    def put(self, message: Any, delays: dict[str, float]) -> None:
        """Called by the executor for every message of the subscription."""
        now_ns = self._clock.now().nanoseconds
        self._statistics.receive(now_ns)
        if not (self._enabled or self._one_shot):
            self._statistics.drop(reasons.DISABLED)
            return
        segment = self._gate.segment
        try:
            arrival = self._admit(message, delays, now_ns)
        except HeaderError as error:
            self._drop(error.reason, str(error))
            return
        finally:  # a refused frame may start a time segment, too
            if self._gate.segment != segment:
                self._begin_time(now_ns)
        self._one_shot = False
        if self._worker.mailbox.put(arrival):
            self._statistics.drop(reasons.SUPERSEDED)

    def set_enabled(self, enabled: bool) -> None:
        """Whether frames are taken; those that are not are counted as `disabled`."""
        self._enabled, self._one_shot = enabled, False

    def take_one(self) -> None:
        """Take the next good frame even while disabled."""
        self._one_shot = True

    def restart(self) -> None:
        """Reset the checks of stamps and the outputs, as after a jump of the clock."""
        self._gate.restart()
        self._begin_time(self._clock.now().nanoseconds)

    def _begin_time(self, now_ns: int) -> None:
        self._statistics.restart_time(now_ns)
        self._on_new_time()

    def stop(self) -> None:
        """Finish the current frame and end the thread."""
        self._jumps.unregister()
        if self._worker.stop():
            self._statistics.drop(reasons.DEACTIVATED)

    def _admit(self, message: Any, delays: dict[str, float], now_ns: int) -> Arrival:
        header = message.header
        frame = camera_frame(header.frame_id, self._parameters.camera_frame)
        stamp_ns = self._gate.admit(header.stamp.sec * SECOND_NS + header.stamp.nanosec, now_ns)
        if self._gate.behind_ns:
            self._log.warning(
                "stamps_behind",
                f"{self._topic}: the stamps are {self.stamps_behind_s:.0f} s behind the node's clock, as in a "
                "recording or from a camera with another clock, and so are those of the poses; play recordings "
                "with --clock and use_sim_time, synchronise cameras",
                seconds=float("inf"),
            )
        asked, now = not self._enabled, time.perf_counter()
        return Arrival(message, stamp_ns, frame, self._gate.segment, asked, now, delays)

    def _on_clock_jump(self, jump: TimeJump) -> None:
        now = self._clock.now()
        if now.nanoseconds == jump.delta.nanoseconds:
            return  # the first message of /clock
        self._log.info(
            "clock_jump", f"the clock jumped by {jump.delta.nanoseconds / SECOND_NS:.3f} s: a new time segment starts"
        )
        self.restart()

    def _handle(self, arrival: Arrival) -> None:
        localized = False
        try:
            localized = self._process(arrival)
        except (DecodeError, FrameError) as error:
            self._drop(error.reason, str(error))
        except Exception as error:  # noqa: BLE001
            # Neither data nor hardware may end the node; an exception drops its frame alone.
            if self._context.ok():
                self._drop(reasons.INFERENCE_FAILED, f"{type(error).__name__}: {error}")
        if arrival.asked and not self._enabled and (not localized or self._is_waited_for()):
            self.take_one()

    def _process(self, arrival: Arrival) -> bool:
        """Whether the frame was localized; where not, it is counted under its reason or an exception is raised."""
        if self._is_outdated(arrival):
            return False
        self._follow(arrival)
        if self._is_idle():
            return False
        taken = time.perf_counter()
        image_HW3 = self._frame_localizer.decode(arrival.message)
        decoded = time.perf_counter()
        estimate, map_frame = self._frame_localizer.localize(image_HW3)
        inferred = time.perf_counter()
        if self._is_outdated(arrival):
            return False
        stamp = Time(sec=arrival.stamp_ns // SECOND_NS, nanosec=arrival.stamp_ns % SECOND_NS)
        frame = Frame(stamp, map_frame, arrival.camera_frame, image_HW3, estimate)
        for output in self._outputs:
            output.publish(frame)
        self._time(arrival, taken, decoded, inferred, estimate)
        self._count(estimate, arrival.stamp_ns)
        return estimate.localized

    def _follow(self, arrival: Arrival) -> None:
        """Reset the outputs when time has jumped or the camera's frame has changed."""
        before, self._camera_frame = self._camera_frame or arrival.camera_frame, arrival.camera_frame
        if (self._segment, before) == (arrival.segment, arrival.camera_frame):
            return  # the first frame, too: transforms received before it are still valid
        if before != arrival.camera_frame:
            text = f"{self._topic}: the camera's frame is now '{arrival.camera_frame}', it was '{before}'"
            self._log.info("camera_frame", text)
        self._segment = arrival.segment
        for output in self._outputs:
            output.forget()

    def _is_idle(self) -> bool:
        """Whether no output has a subscriber; the frame is counted then."""
        idle = self._parameters.idle_without_listeners and not any(o.has_listeners() for o in self._outputs)
        if idle:
            self._statistics.drop(reasons.NOT_LISTENED)
        return idle

    def _is_outdated(self, arrival: Arrival) -> bool:
        """Whether time has jumped since the frame arrived; it is counted then."""
        outdated = arrival.segment != self._gate.segment
        if outdated:
            self._statistics.drop(reasons.CLOCK_JUMPED)
        return outdated

    def _time(self, arrival: Arrival, taken: float, decoded: float, inferred: float, estimate: Estimate) -> None:
        published = time.perf_counter()
        self._statistics.time(
            **arrival.delays,
            waiting=taken - arrival.seconds,
            decode=decoded - taken,
            inference=inferred - decoded - estimate.refinement_s,
            **({"refine": estimate.refinement_s} if estimate.refinement else {}),
            publish=published - inferred,
            overhead=decoded - taken + published - inferred,
            latency=published - arrival.seconds,
        )

    def _count(self, estimate: Estimate, stamp_ns: int) -> None:
        if not estimate.localized:
            self._drop(estimate.reason, estimate.explanation or "the frame was not localized")
            return
        now_ns = self._clock.now().nanoseconds
        self._statistics.localize(now_ns, estimate.refined if estimate.refinement else None)
        if now_ns and now_ns - stamp_ns <= OTHER_CLOCK_NS:
            self._statistics.time(age=(now_ns - stamp_ns) / SECOND_NS)

    def _drop(self, reason: str, text: str) -> None:
        self._statistics.drop(reason)
        log = self._log.error if reason in reasons.ERRORS else self._log.warning
        log(reason, f"{self._topic}: frame dropped, {reason}: {text}")


def stamp_rules(parameters: Parameters) -> StampRules:
    return StampRules(
        parameters.stamp_policy == "receive_time",
        round(parameters.future_tolerance * SECOND_NS),
        round(parameters.max_age * SECOND_NS),
    )

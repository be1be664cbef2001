"""What becomes of one picture: gate, decode, localize, publish; every other way out has a name and a count."""

from __future__ import annotations

import time
from typing import Any

from rclpy.lifecycle import LifecycleNode

from transposenet_core.localizer import Localizer
from transposenet_ros.image_decoding import DecodeError, Decoder
from transposenet_ros.mailbox import Worker
from transposenet_ros.parameters import Parameters
from transposenet_ros.pose_output import PoseOutput
from transposenet_ros.statistics import Statistics

LOG_SECONDS = 5.0


class HeaderError(Exception):
    """A header that no pose can be stamped with; `reason` is the name it is counted under."""

    def __init__(self, reason: str, text: str) -> None:
        super().__init__(text)
        self.reason = reason


class FrameWorker:
    """Takes messages from the executor without making it wait and works on the newest in a thread of its own."""

    def __init__(
        self,
        node: LifecycleNode,
        decode: Decoder,
        localizer: Localizer,
        parameters: Parameters,
        output: PoseOutput,
        statistics: Statistics,
        topic: str,
    ) -> None:
        self._log, self._context = node.get_logger(), node.context
        self._decode, self._localizer, self._output = decode, localizer, output
        self._statistics, self._topic = statistics, topic
        self._map_frame = parameters.map_frame or localizer.scene_model.map_frame
        self._camera_frame = parameters.camera_frame
        self._logged: dict[str, float] = {}
        self._worker: Worker[tuple[float, Any]] = Worker(self._handle)

    def put(self, message: Any) -> None:
        """Called by the executor for every message of the subscription."""
        self._statistics.receive()
        if self._worker.mailbox.put((time.perf_counter(), message)):
            self._statistics.drop("superseded")

    def stop(self) -> None:
        """Finish the frame in hand and end the thread."""
        if self._worker.stop():
            self._statistics.drop("deactivated")

    def _handle(self, arrival: tuple[float, Any]) -> None:
        try:
            self._process(*arrival)
        except (DecodeError, HeaderError) as error:
            self._drop(error.reason, str(error), serious=error.reason == "bad_encoding")
        except Exception as error:  # noqa: BLE001
            # The promise is that data and hardware never end the node; whatever a frame raises is that frame's end.
            if self._context.ok():
                self._drop("inference_failed", f"{type(error).__name__}: {error}", serious=True)

    def _process(self, arrived: float, message: Any) -> None:
        taken = time.perf_counter()
        camera_frame = self._check_header(message.header)
        image_HW3 = self._decode(message)
        decoded = time.perf_counter()
        estimate = self._localizer.localize(image_HW3)
        inferred = time.perf_counter()
        self._output.publish(estimate, message.header.stamp, self._map_frame, camera_frame)
        published = time.perf_counter()
        overhead = decoded - taken + published - inferred
        self._statistics.time(overhead=overhead, inference=inferred - decoded, latency=published - arrived)
        if estimate.localized:
            self._statistics.localize()
        else:
            self._drop(estimate.reason, "the frame was not localized")

    def _check_header(self, header: Any) -> str:
        """The camera's frame."""
        if header.stamp.sec == 0 and header.stamp.nanosec == 0:
            raise HeaderError("zero_stamp", "the image has no time stamp; let its publisher set header.stamp")
        if not (camera_frame := self._camera_frame or header.frame_id):
            raise HeaderError("no_frame_id", "the image has no frame_id; set it there or in parameter 'camera_frame'")
        return camera_frame

    def _drop(self, reason: str, text: str, serious: bool = False) -> None:
        self._statistics.drop(reason)
        now = time.monotonic()
        if now - self._logged.get(reason, -LOG_SECONDS) < LOG_SECONDS:
            return
        self._logged[reason] = now
        sentence = f"{self._topic}: frame dropped, {reason}: {text}"
        # Two lines on purpose: rclpy refuses a severity that changes at one call site.
        if serious:
            self._log.error(sentence)
        else:
            self._log.warning(sentence)

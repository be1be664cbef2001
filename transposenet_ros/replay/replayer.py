"""Replays a recording's images through DDS at camera rate and records the poses; a process of its own.

`python -m transposenet_ros.replay.replayer JOB.json RESULT.json`: Fast DDS reads its profile when the process starts,
so replay_evaluation starts this one with the shared-memory profile set, whatever its own process has loaded.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import rclpy
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import HistoryPolicy, QoSProfile, ReliabilityPolicy
from rclpy.signals import SignalHandlerOptions
from sensor_msgs.msg import CompressedImage, Image

from transposenet_core.atomic_files import write_atomically
from transposenet_core.errors import UserError
from transposenet_core.progress import ProgressBar
from transposenet_ros import reasons
from transposenet_ros.bags.reading import BagReader, header_stamp_ns
from transposenet_ros.bags.topics import IMAGE_TYPES
from transposenet_ros.input.image_topics import SUFFIX, how_to_receive
from transposenet_ros.replay.protocol import ReplayJob, ReplayRecord
from transposenet_ros.replay.recorder import Recorder

IMAGES = QoSProfile(history=HistoryPolicy.KEEP_LAST, depth=10, reliability=ReliabilityPolicy.RELIABLE)
# Matched here is not yet matched there; and `image_qos: auto` subscribes anew when it has seen our reliability.
SETTLE_SECONDS = 1.0
LONGEST_PERIOD_SECONDS = 60.0  # the most that parameter diagnostics_period allows
QUIET_SECONDS = 5.0  # after this long without any news, frames without a pose will get none


def replay(job: ReplayJob) -> ReplayRecord:
    """Send the images when the localizer listens, wait for the last output, return all outputs.

    UserError where the localizer reports a fault, does not become active in time, or listens to another topic.
    """
    with BagReader(job.bag) as bag, _spinning_node("transposenet_replayer") as node:
        transport = IMAGE_TYPES[bag.topics[job.image_topic]]
        kind = Image if transport == "raw" else CompressedImage
        publisher = node.create_publisher(kind, job.image_topic, IMAGES)
        recorder = Recorder(node, job.node)
        _wait_until_connected(job, publisher, recorder)
        recorder.wait_for_report(LONGEST_PERIOD_SECONDS)
        recorder.record.before = recorder.counts()
        total = min(bag.count(job.image_topic), job.max_frames or sys.maxsize)
        frames = islice(bag.raw_messages(job.image_topic), total)
        with ProgressBar(total=total, unit="frame", desc=f"replay to {job.node}", disable=not job.progress) as bar:
            _send(job, publisher, recorder, frames, bar.update)
        _wait_for(recorder, lambda: _all_accounted(recorder), QUIET_SECONDS)
        if not _all_accounted(recorder):
            recorder.wait_for_report(LONGEST_PERIOD_SECONDS)
        return recorder.finish()


def _send(job: ReplayJob, publisher: Any, recorder: Recorder, frames: Iterator, done: Callable[[], Any]) -> None:
    record = recorder.record
    first_ns, began = None, time.monotonic()
    for time_ns, data in frames:
        stamp_ns = header_stamp_ns(data)
        if stamp_ns is None or stamp_ns in record.sent:
            # Poses are matched to images by stamp alone.
            fault = reasons.DAMAGED_IN_BAG if stamp_ns is None else reasons.REPEATED_STAMP
            record.not_sent[fault] = record.not_sent.get(fault, 0) + 1
            continue
        first_ns = time_ns if first_ns is None else first_ns
        if not job.wait_each:
            time.sleep(max(0.0, began + (time_ns - first_ns) * 1e-9 / job.rate - time.monotonic()))
        record.sent[stamp_ns] = time.monotonic_ns()
        publisher.publish(data)
        if job.wait_each:
            _wait_for(recorder, partial(_replied, recorder, stamp_ns), job.pose_timeout)
        done()


def _replied(recorder: Recorder, stamp_ns: int) -> bool:
    return recorder.replied(stamp_ns) or _all_accounted(recorder)


def _all_accounted(recorder: Recorder) -> bool:
    """Whether the node counted an end for each frame sent, and everything it published about them has arrived."""
    record, counts = recorder.record, recorder.counts()
    new = {name: count - record.before.get(name, 0) for name, count in counts.items()}
    ended = sum(count for name, count in new.items() if name != "received")
    arrived = min(len(record.poses), len(record.covariances))
    return ended >= len(record.sent) and arrived >= new["localized"]


def _wait_for(recorder: Recorder, condition: Callable[[], bool], quiet_seconds: float) -> None:
    """Wait until `condition` holds, or until nothing about the frames has arrived for `quiet_seconds`."""
    news, deadline = -1, time.monotonic() + quiet_seconds
    with recorder.changed:
        while not condition() and time.monotonic() < deadline:
            recorder.changed.wait(0.05)
            heard = len(recorder.record.poses) + sum(recorder.counts().values())
            if heard != news:
                news, deadline = heard, time.monotonic() + quiet_seconds


def _wait_until_connected(job: ReplayJob, publisher: Any, recorder: Recorder) -> None:
    """Until the localizer is active and listens to our topic, and publisher and subscribers know each other."""
    deadline = time.monotonic() + job.start_timeout

    def ready() -> bool:
        connected = publisher.get_subscription_count() > 0 and recorder.connected()
        return connected and recorder.diagnostics.get("state") == "active"

    while not ready():
        if recorder.fault:
            raise UserError(f"the node {job.node} could not start: {recorder.fault}")
        if time.monotonic() > deadline:
            raise UserError(_why_not_connected(job, publisher, recorder))
        time.sleep(0.02)
    time.sleep(SETTLE_SECONDS)


def _why_not_connected(job: ReplayJob, publisher: Any, recorder: Recorder) -> str:
    waited = f"the node {job.node} is not ready after {job.start_timeout:g} s"
    if not recorder.diagnostics:
        return f"{waited}: nothing from it on /diagnostics; start it, or set its name with --node-name"
    if recorder.diagnostics.get("state") != "active":
        return f"{waited}: its state is {recorder.diagnostics.get('state')}; configure and activate it"
    if publisher.get_subscription_count() == 0:
        heard = recorder.diagnostics.get("topic", "")
        transport = "raw" if publisher.msg_type is Image else "compressed"
        advice = how_to_receive(heard.removesuffix(SUFFIX), "", {job.image_topic: transport})
        return f"{waited}: it subscribes to {heard}; the recorded {advice}"
    return f"{waited}: its outputs {job.node}/pose and {job.node}/status were not discovered; do not remap them"


@contextmanager
def _spinning_node(name: str) -> Iterator[Node]:
    # rclpy's handlers would end the context under a working publisher, and Ctrl-C would show as its error.
    rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
    node = rclpy.create_node(name)
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    thread = threading.Thread(target=_spin, args=(executor,), daemon=True)
    thread.start()
    try:
        yield node
    finally:
        executor.shutdown()
        thread.join(5)
        node.destroy_node()
        rclpy.try_shutdown()


def _spin(executor: SingleThreadedExecutor) -> None:
    try:
        executor.spin()
    except ExternalShutdownException:
        pass


def main(argv: list[str] | None = None) -> int:
    """Run the job of a file; the result file holds the record, or the sentence of a user's error (exit code 2)."""
    job_file, result_file = argv or sys.argv[1:]
    try:
        result, code = replay(ReplayJob(**json.loads(Path(job_file).read_text()))).to_dict(), 0
    except UserError as error:
        result, code = {"error": str(error)}, 2
    except KeyboardInterrupt:
        return 130
    with write_atomically(result_file) as path:
        path.write_text(json.dumps(result))
    return code


if __name__ == "__main__":
    sys.exit(main())

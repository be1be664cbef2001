"""The real localizer node as a process, driven through DDS by the benchmarks that need it running."""

from __future__ import annotations

import os
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import rclpy
import torch
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from geometry_msgs.msg import PoseWithCovarianceStamped
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from rclpy.context import Context
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.qos import QoSProfile
from sensor_msgs.msg import CompressedImage, Image

from transposenet_core.errors import UserError
from transposenet_core.models import build_model
from transposenet_core.preprocessing import Preprocessing
from transposenet_core.scene_model import HeldOutError, MappedScene, SceneModel
from transposenet_ros.replay.dds_profile import publisher_environment
from transposenet_ros.replay.processes import last_words, localizer_process

SMALLEST = {"image_size": [64, 96], "layers": 1, "heads": 2, "width": 32, "mlp_width": 32, "head_width": 64}
START_SECONDS = 60.0
REPLY_SECONDS = 20.0


def save_smallest_model(folder: Path) -> Path:
    """A scene model for 64x96 images with random weights: its poses are meaningless."""
    torch.manual_seed(0)
    network = build_model("transposenet", **SMALLEST).eval()
    held_out = HeldOutError((0.1, 0.1, 0.1), (0.01, 0.01, 0.01), "none: random weights")
    scenes = (MappedScene("smallest", "map", held_out),)
    SceneModel("transposenet", SMALLEST, Preprocessing(64, (64, 96)), network, scenes).save(folder)
    return folder


def stamp_now(message: Any, frame_id: str = "camera") -> int:
    """Stamp an image with the wall clock. Returns the stamp in nanoseconds."""
    now_ns = time.time_ns()
    message.header.frame_id = frame_id
    message.header.stamp.sec, message.header.stamp.nanosec = divmod(now_ns, 10**9)
    return now_ns


class DrivenNode:
    """A node seen through DDS: sends it images, receives poses and diagnostics. `on_pose` is called in a thread."""

    def __init__(self, process: subprocess.Popen, log: Path, domain: int, name: str, transport: str) -> None:
        self.process, self._log = process, log
        self.on_pose: Callable[[PoseWithCovarianceStamped], None] = lambda pose: None
        self._name, self._news = name, threading.Condition()
        self._status, self._reports, self._newest_ns = DiagnosticStatus(), 0, 0
        self._context = Context()
        rclpy.init(context=self._context, domain_id=domain)
        node = self._node = rclpy.create_node(f"driver_{transport}", context=self._context)
        topic = f"{name.rsplit('/', 1)[0]}/image" + ("/compressed" if transport == "compressed" else "")
        self._camera = node.create_publisher(CompressedImage if transport == "compressed" else Image, topic, 10)
        node.create_subscription(PoseWithCovarianceStamped, f"{name}/pose_with_covariance", self._hear_pose, 100)
        node.create_subscription(DiagnosticArray, "/diagnostics", self._hear_diagnostics, QoSProfile(depth=100))
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(node)
        self._thread = threading.Thread(target=self._spin)
        self._thread.start()

    def _spin(self) -> None:
        try:
            self._executor.spin()
        except ExternalShutdownException:
            pass

    def _hear_pose(self, pose: PoseWithCovarianceStamped) -> None:
        self.on_pose(pose)
        with self._news:
            self._newest_ns = pose.header.stamp.sec * 10**9 + pose.header.stamp.nanosec
            self._news.notify_all()

    def _hear_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            if status.name.startswith(f"{self._name}:"):
                with self._news:
                    self._status, self._reports = status, self._reports + 1
                    self._news.notify_all()

    def wait(self, condition: Callable[[], bool], what: str, seconds: float) -> None:
        """Wait until a message makes `condition()` true. UserError, with the end of the node's log, if none does."""
        with self._news:
            if not self._news.wait_for(condition, seconds):
                raise UserError(
                    f"{self._name}: no {what} within {seconds:g} s; its log ends with: {last_words(self._log)}"
                )

    def publish(self, message: Any) -> None:
        self._camera.publish(message)

    def localize(self, message: Any) -> float:
        """Stamp and publish an image and wait for its pose. Returns the seconds that this took."""
        began, stamp_ns = time.perf_counter(), stamp_now(message)
        self.publish(message)
        self.wait(lambda: self._newest_ns >= stamp_ns, "pose", REPLY_SECONDS)
        return time.perf_counter() - began

    def localize_all(self, messages: Iterable[Any]) -> None:
        """Wait for the pose of each; the next is sent meanwhile, which is faster, and none is superseded."""
        newest_ns = 0
        for message in messages:
            last_ns, newest_ns = newest_ns, stamp_now(message)
            self.publish(message)
            self.wait(lambda last_ns=last_ns: self._newest_ns >= last_ns, "pose", REPLY_SECONDS)  # type: ignore[misc]
        self.wait(lambda: self._newest_ns >= newest_ns, "pose", REPLY_SECONDS)

    def status(self) -> DiagnosticStatus:
        """Diagnostics that the node published after this call."""
        reports = self._reports
        self.wait(lambda: self._reports > reports + 1, "diagnostics", REPLY_SECONDS)
        return self._status

    def values(self) -> dict[str, str]:
        return {pair.key: pair.value for pair in self.status().values}

    def wait_until_heard(self, state: str = "active") -> None:
        """Wait until the node is active and its subscription has the reliability of this camera."""
        self.wait(lambda: any(pair.value == state for pair in self._status.values), f"state {state}", START_SECONDS)
        deadline = time.monotonic() + REPLY_SECONDS
        while self.values().get("reliability") != "reliable" or not self._camera.get_subscription_count():
            if time.monotonic() > deadline:
                raise UserError(
                    f"{self._name} has not subscribed to this camera; its log ends with: {last_words(self._log)}"
                )

    def change(self, *transitions: str) -> None:
        """Life-cycle transitions by name. UserError if the node refuses one."""
        client = self._node.create_client(ChangeState, f"{self._name}/change_state")
        client.wait_for_service(REPLY_SECONDS)
        time.sleep(0.1)  # the service is discovered here, but may not have discovered this client yet
        for name in transitions:
            request = ChangeState.Request()
            request.transition.id = getattr(Transition, f"TRANSITION_{name.upper()}")
            replied = threading.Event()
            future = client.call_async(request)
            future.add_done_callback(lambda _, replied=replied: replied.set())
            if not replied.wait(REPLY_SECONDS) or not future.result().success:
                raise UserError(f"{self._name} did not {name}; its log ends with: {last_words(self._log)}")
        self._node.destroy_client(client)

    def restart(self) -> None:
        """Take the node through a life cycle back to active: its statistics start again."""
        self.change("deactivate", "cleanup", "configure", "activate")
        self.wait_until_heard()

    def resources(self) -> dict[str, int]:
        """Resident memory and its peak (kB), threads and open files of the node's process."""
        lines = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        found = dict(line.split(":", 1) for line in lines)
        files = len(os.listdir(f"/proc/{self.process.pid}/fd"))
        rss, peak = (int(found[key].split()[0]) for key in ("VmRSS", "VmHWM"))
        return {"rss_kb": rss, "peak_kb": peak, "threads": int(found["Threads"]), "files": files}

    def endpoints(self) -> int:
        """How many publishers, subscriptions and services the node has on the graph."""
        namespace, name = self._name.rsplit("/", 1)
        topics = [topic for topic, _ in self._node.get_topic_names_and_types()]
        ends = (self._node.get_publishers_info_by_topic, self._node.get_subscriptions_info_by_topic)
        found = [info for topic in topics for by_topic in ends for info in by_topic(topic)]
        services = self._node.get_service_names_and_types_by_node(name, namespace or "/")
        return len(services) + sum((i.node_namespace, i.node_name) == (namespace or "/", name) for i in found)

    def close(self) -> None:
        self._executor.shutdown()
        self._thread.join()
        self._node.destroy_node()
        rclpy.shutdown(context=self._context, uninstall_handlers=False)


@contextmanager
def driven_node(model: Path, domain: int, name: str = "/localizer", **parameters: object) -> Iterator[DrivenNode]:
    """An active node that has subscribed to this process's camera."""
    # Read when DDS starts: images go through shared memory, as the documentation recommends for every camera.
    os.environ.update(publisher_environment())
    os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
    # The images show no place at all, and each of them must still result in a pose.
    always = {"diagnostics_period": 0.1, "torch_threads": 1, "out_of_scene": "publish"}
    values = {"model": str(model), **always, **parameters}
    with (
        tempfile.TemporaryDirectory() as folder,
        open(Path(folder) / "log", "w+b") as log,
        localizer_process(name, {}, values, domain, Path(folder), log) as process,
    ):
        node = DrivenNode(process, Path(folder) / "log", domain, name, str(values.get("image_transport", "raw")))
        try:
            node.wait_until_heard()
            yield node
        finally:
            node.close()

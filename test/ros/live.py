"""What the live tests share: processes with a ROS domain of their own, and a client that talks to them through DDS."""

from __future__ import annotations

import array
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, final

import numpy as np
import rclpy
from lifecycle_msgs.srv import ChangeState, GetState
from rcl_interfaces.srv import SetParametersAtomically
from rclpy.context import Context
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.parameter import Parameter
from rclpy.qos import HistoryPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CompressedImage, Image

from transposenet_ros.replay.processes import ros_environment

ROOT = Path(__file__).resolve().parents[2]
# A service that is matched here has not yet matched us: a response sent before it has is lost.
MATCH_SECONDS = 0.1


def wait_until(condition: Callable[[], Any], what: str, timeout: float = 20.0) -> Any:
    """The first true value of `condition()`; fails the test, naming `what`, when none comes in time."""
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        if value := condition():
            return value
        time.sleep(0.01)
    raise AssertionError(f"waited {timeout:g} s in vain for {what}")


@final
class Process:
    """A Python module or a script (a path) run as its own process; its whole output is kept in `log`."""

    def __init__(self, program: str | Path, *arguments: str, domain: int, **environment: str) -> None:
        run = [str(program)] if isinstance(program, Path) else ["-m", program]
        self._output = os.memfd_create("log")
        self._popen = subprocess.Popen(
            [sys.executable, *run, *arguments],
            cwd=ROOT,
            env=ros_environment(domain, **environment),
            stdout=self._output,
            stderr=subprocess.STDOUT,
        )

    @property
    def pid(self) -> int:
        return self._popen.pid

    @property
    def alive(self) -> bool:
        return self._popen.poll() is None

    @property
    def log(self) -> str:
        # A position of our own: the child writes through the same open file description.
        return os.pread(self._output, os.fstat(self._output).st_size, 0).decode(errors="replace")

    def wait_for_log(self, text: str, timeout: float = 30.0) -> None:
        try:
            wait_until(lambda: text in self.log or not self.alive, f"the log line {text!r}", timeout)
        finally:
            assert text in self.log, f"no {text!r} in the log:\n{self.log}"

    def signal(self, number: int) -> None:
        self._popen.send_signal(number)

    def wait(self, timeout: float) -> int:
        """The exit code; fails where the process is still there after `timeout` seconds.

        Seconds that it stood ready but was given no core do not count: they are the other tests'.
        """
        began, withheld = time.monotonic(), self._withheld_s()
        while (code := self._popen.poll()) is None:
            elapsed = time.monotonic() - began
            if elapsed > 60 or elapsed - (self._withheld_s() - withheld) > timeout:
                raise AssertionError(f"process still alive after {timeout:g} s:\n{self.log}")
            time.sleep(0.01)
        return code

    def _withheld_s(self) -> float:
        """How long the main thread has waited for a core up to now (Linux; elsewhere nothing is known of it)."""
        try:
            return int(Path(f"/proc/{self.pid}/schedstat").read_text().split()[1]) / 1e9
        except (OSError, IndexError):
            return 0.0

    def __enter__(self) -> Process:
        return self

    def __exit__(self, *_: object) -> None:
        if self.alive:
            self.signal(signal.SIGINT)
            try:
                self._popen.wait(10)
            except subprocess.TimeoutExpired:
                self._popen.kill()
                self._popen.wait()
        os.close(self._output)


def localizer_process(
    domain: int,
    model: Path | str,
    *ros_arguments: str,
    program: str | Path = "transposenet_ros.localizer_node",
    **parameters: object,
) -> Process:
    """The localizer node as `python -m`, with fast diagnostics; parameters are written as on a ROS command line.

    `program` may be a script that runs the node's main in an altered world.
    """
    parameters = {"diagnostics_period": 0.2, "torch_threads": 1, **parameters}
    listed = [item for name, value in parameters.items() for item in ("-p", f"{name}:={value}")]
    arguments = ["--ros-args", "-p", f"model:={model}", *listed, *ros_arguments]
    return Process(program, *arguments, domain=domain)


def quality(depth: int = 10, reliable: bool = True) -> QoSProfile:
    reliability = ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT
    return QoSProfile(history=HistoryPolicy.KEEP_LAST, depth=depth, reliability=reliability)


@final
class Client:
    """A ROS node of the test's own, spun in a thread: it publishes images, collects messages and calls services."""

    def __init__(self, domain: int, name: str = "test_client") -> None:
        self.context = Context()
        rclpy.init(context=self.context, domain_id=domain)
        self.node = rclpy.create_node(name, context=self.context)
        self._executor = SingleThreadedExecutor(context=self.context)
        self._executor.add_node(self.node)
        self._thread = threading.Thread(target=self._spin, daemon=True)
        self._thread.start()

    def _spin(self) -> None:
        try:
            self._executor.spin()
        except ExternalShutdownException:
            pass

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self._executor.shutdown()
        self._thread.join(5)
        self.node.destroy_node()
        rclpy.shutdown(context=self.context, uninstall_handlers=False)

    def collect(self, message_type: type, topic: str, reliable: bool = True, depth: int = 1000) -> list:
        """A list that grows with every message of `topic` from now on."""
        received: list = []
        self.node.create_subscription(message_type, topic, received.append, quality(depth, reliable))
        return received

    def image_publisher(self, message_type: type, topic: str, reliable: bool = True, depth: int = 10) -> Any:
        """A publisher whose images arrive: returned once the localizer listens with the reliability it settles on.

        The localizer subscribes best effort before it knows its publishers and turns reliable (`image_qos: auto`)
        when it has seen that all of them are; images sent in between may be lost.
        """
        publisher = self.node.create_publisher(message_type, topic, quality(depth, reliable))
        self.wait_for_listener(topic, reliable)
        wait_until(lambda: publisher.get_subscription_count() > 0, f"a match on {topic}")
        return publisher

    def wait_for_listener(self, topic: str, reliable: bool = True) -> None:
        wanted = ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT

        def listens() -> bool:
            listeners = self.node.get_subscriptions_info_by_topic(topic)
            return len(listeners) == 1 and listeners[0].qos_profile.reliability == wanted

        wait_until(listens, f"one {wanted.name} subscription of {topic}")

    def call(self, service_type: type, name: str, request: Any, timeout: float = 20.0) -> Any:
        client = self.node.create_client(service_type, name)
        try:
            wait_until(client.service_is_ready, f"service {name}", timeout)
            time.sleep(MATCH_SECONDS)
            future = client.call_async(request)
            wait_until(future.done, f"the response of {name}", timeout)
            return future.result()
        finally:
            self.node.destroy_client(client)

    def change_state(self, transition: int, node: str = "/localizer") -> bool:
        request = ChangeState.Request()
        request.transition.id = transition
        return self.call(ChangeState, f"{node}/change_state", request).success

    def state(self, node: str = "/localizer") -> str:
        """Repeated where no response comes: a request changes nothing, and on a busy machine a response may be lost."""
        for _ in range(3):
            try:
                return self.call(GetState, f"{node}/get_state", GetState.Request(), timeout=5.0).current_state.label
            except AssertionError:
                continue
        return self.call(GetState, f"{node}/get_state", GetState.Request()).current_state.label

    def wait_for_state(self, label: str, node: str = "/localizer", timeout: float = 30.0) -> None:
        wait_until(lambda: self.state(node) == label, f"{node} to be {label}", timeout)

    def set_parameters(self, node: str = "/localizer", **values: object) -> tuple[bool, str]:
        """Whether the node accepted all of them, and its reason where not."""
        request = SetParametersAtomically.Request()
        request.parameters = [Parameter(name, value=value).to_parameter_msg() for name, value in values.items()]
        result = self.call(SetParametersAtomically, f"{node}/set_parameters_atomically", request).result
        return result.successful, result.reason


def image_message(image_HW3: np.ndarray, seconds: float, frame_id: str = "camera", padding: int = 0) -> Image:
    """rgb8, with `padding` bytes of rubbish behind every row."""
    height, width = image_HW3.shape[:2]
    rows = np.full((height, width * 3 + padding), 0xA5, np.uint8)
    rows[:, : width * 3] = image_HW3.reshape(height, -1)
    message = Image(height=height, width=width, encoding="rgb8", step=rows.shape[1])
    message.data = array.array("B", rows.tobytes())
    return stamped(message, seconds, frame_id)


def compressed_message(data: bytes, seconds: float, frame_id: str = "camera", format: str = "jpeg") -> CompressedImage:
    return stamped(CompressedImage(format=format, data=array.array("B", data)), seconds, frame_id)


def stamped(message: Any, seconds: float, frame_id: str) -> Any:
    message.header.frame_id = frame_id
    message.header.stamp.sec, message.header.stamp.nanosec = divmod(round(seconds * 1e9), 1_000_000_000)
    return message


def seconds_of(message: Any) -> float:
    return message.header.stamp.sec + message.header.stamp.nanosec * 1e-9

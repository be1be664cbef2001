"""The listener over real DDS: what a broadcaster sends is what the buffer returns."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import numpy as np
import pytest
from builtin_interfaces.msg import Time
from live import Client, wait_until
from rcl_interfaces.msg import Log
from rclpy.parameter import Parameter
from rosgraph_msgs.msg import Clock
from std_msgs.msg import Header
from tf2_msgs.msg import TFMessage

from transposenet_core.errors import UserError
from transposenet_core.geometry.pose import Pose
from transposenet_ros.output.conversions import pose_to_message, transform_stamped
from transposenet_ros.transforms.buffer import TransformBuffer
from transposenet_ros.transforms.errors import ForwardExtrapolationError, TransformError
from transposenet_ros.transforms.listener import STATIC_TF_QUALITY, TF_QUALITY, TransformListener

S = 10**9
ROTATED = np.array([0.5, 0.5, -0.5, 0.5])


def transforms(*links: tuple[float, str, str, float], orientation: np.ndarray = ROTATED) -> TFMessage:
    """(seconds, parent, child, metres along x) as the project's broadcaster makes them."""
    message = TFMessage()
    for seconds, parent, child, x in links:
        stamp = Time(sec=int(seconds), nanosec=round(seconds % 1 * S))
        pose = pose_to_message(Pose(np.array([x, 0.0, 0.0]), orientation))
        message.transforms.append(transform_stamped(Header(stamp=stamp, frame_id=parent), child, pose))
    return message


class Robot(Client):
    """A broadcaster: the static transforms are out before anybody listens."""

    def __init__(self, domain: int) -> None:
        super().__init__(domain, "robot")
        self._static = self.node.create_publisher(TFMessage, "/tf_static", STATIC_TF_QUALITY)
        self._static.publish(transforms((0, "base", "camera", 0.25)))
        self._moving = self.node.create_publisher(TFMessage, "/tf", TF_QUALITY)

    def send(self, *links: tuple[float, str, str, float]) -> None:
        wait_until(lambda: self._moving.get_subscription_count() > 0, "a listener of /tf")
        self._moving.publish(transforms(*links))

    def listeners(self) -> int:
        return self._moving.get_subscription_count() + self._static.get_subscription_count()

    def send_raw(self, message: TFMessage) -> None:
        self._moving.publish(message)


@pytest.fixture
def robot(domain: int) -> Iterator[Robot]:
    with Robot(domain) as robot:
        yield robot


@pytest.fixture
def listening(robot: Robot, domain: int) -> Iterator[tuple[Client, TransformBuffer]]:
    """A node that comes later, and its buffer."""
    buffer = TransformBuffer()
    with Client(domain, "listening") as client:
        listener = TransformListener(client.node, buffer)
        yield client, buffer
        listener.close()


def lookup_or_none(buffer: TransformBuffer, target: str, source: str, stamp_ns: int | None = None) -> Pose | None:
    """Never waits, as in the node: None where there is no result yet."""
    try:
        return buffer.lookup(target, source, stamp_ns)
    except TransformError:
        return None


def test_what_is_broadcast_can_be_looked_up(robot: Robot, listening: tuple[Client, TransformBuffer]) -> None:
    _, buffer = listening
    # By its name and time a late joiner has the static transform, though it was sent before the node was there.
    pose = wait_until(lambda: lookup_or_none(buffer, "base", "camera", 5 * S), "the static transform of a late joiner")
    np.testing.assert_array_equal(pose.position, [0.25, 0, 0])
    np.testing.assert_allclose(pose.orientation, ROTATED, atol=1e-15)
    robot.send((10.0, "odom", "base", 1.0), (10.5, "odom", "base", 2.0))
    pose = wait_until(lambda: lookup_or_none(buffer, "odom", "base", 10_250_000_000), "odom<-base")
    np.testing.assert_allclose(pose.position, [1.5, 0, 0], atol=1e-12)
    with pytest.raises(ForwardExtrapolationError, match=r"odom<-base at 10\.6"):
        buffer.lookup("odom", "base", 10_600_000_000)
    robot.send((10.7, "odom", "base", 4.0))
    pose = wait_until(lambda: lookup_or_none(buffer, "odom", "base", 10_600_000_000), "what was in the future")
    np.testing.assert_allclose(pose.position, [3, 0, 0], atol=1e-12)


def test_a_closed_listener_receives_nothing_and_a_new_one_continues(robot: Robot, domain: int) -> None:
    buffer = TransformBuffer()
    with Client(domain, "listening") as client:
        listener = TransformListener(client.node, buffer)
        robot.send((1.0, "odom", "base", 1.0))
        wait_until(lambda: lookup_or_none(buffer, "odom", "base", S), "odom<-base")
        listener.close()
        wait_until(lambda: not robot.listeners(), "the end of the subscriptions")
        robot.send_raw(transforms((2.0, "odom", "base", 2.0)))
        listener = TransformListener(client.node, buffer)
        robot.send((3.0, "odom", "base", 3.0))
        wait_until(lambda: lookup_or_none(buffer, "odom", "base", 3 * S), "odom<-base of the second listener")
        assert [claim.count for claim in buffer.claims("base")] == [2], "1 s and 3 s; 2 s was sent to nobody"
        listener.close()


def test_n21_a_second_parent_is_named_once(robot: Robot, listening: tuple[Client, TransformBuffer]) -> None:
    _, buffer = listening
    log = robot.collect(Log, "/rosout")
    robot.send((1.0, "odom", "base", 1.0))
    for k in range(5):
        robot.send((1.1 + k / 10, "map", "base", 1.0), (1.1 + k / 10, "odom", "base", 1.0))
    wait_until(lambda: sum(claim.count for claim in buffer.claims("base")) == 11, "all transforms")
    assert {claim.parent for claim in buffer.conflicts()["base"]} == {"odom", "map"}
    lines = wait_until(lambda: [line.msg for line in log if line.name == "listening"], "the warning")
    sentence = "the frame 'base' is given a parent more than once ('odom' on /tf and 'map' on /tf); "
    assert lines == [sentence + "let one node alone publish it"]


def test_n21_a_node_distinguishes_its_own_echo_from_another_publisher(robot: Robot, domain: int) -> None:
    buffer = TransformBuffer()
    with Client(domain, "localizer") as client:
        listener = TransformListener(client.node, buffer)
        own = client.node.create_publisher(TFMessage, "/tf", TF_QUALITY)
        wait_until(lambda: own.get_subscription_count() == 1, "its own subscription")
        for k in range(20):
            random = np.random.default_rng(k)
            message = transforms((1 + k / 10, "map", "odom", random.normal()), orientation=random.normal(size=4))
            listener.feed(message, publisher="localizer")
            if k == 10:
                buffer.clear()  # as when the clock is set back while the echo is on its way
            own.publish(message)
        own.publish(transforms((9.0, "end", "marker", 0.0)))
        wait_until(lambda: lookup_or_none(buffer, "end", "marker"), "the last echo")
        assert [claim.publisher for claim in buffer.claims("odom")] == ["localizer"]
        robot.send((2.0, "map", "odom", 7.0))
        wait_until(lambda: any(not claim.publisher for claim in buffer.claims("odom")), "the other publisher's claim")
        assert list(buffer.conflicts()) == ["odom"]
        listener.close()


def test_transforms_that_tf2_refuses_are_named_and_the_rest_is_taken(
    robot: Robot, listening: tuple[Client, TransformBuffer]
) -> None:
    _, buffer = listening
    log = robot.collect(Log, "/rosout")
    robot.send((20.0, "odom", "base", 1.0))
    message = transforms((21.0, "odom", "nan", 1.0), (21.0, "self", "self", 1.0), (1.0, "odom", "base", 1.0))
    message.transforms[0].transform.translation.y = float("nan")
    message.transforms += transforms((21.0, "odom", "base", 5.0)).transforms
    robot.send_raw(message)
    pose = wait_until(lambda: lookup_or_none(buffer, "odom", "base", 21 * S), "the good one of four")
    assert pose.position[0] == 5 and lookup_or_none(buffer, "odom", "nan") is None
    wait_until(lambda: len([line for line in log if line.name == "listening"]) == 2, "a line for each reason")
    refused, ignored = (line.msg for line in log if line.name == "listening")
    assert refused.startswith("transform odom<-nan refused: position [ 1. nan  0.]")
    assert ignored.startswith("transform odom<-base ignored: base at 1.000000000 s is more than the 10 s")


def test_n16_a_clock_that_jumps_back_clears_what_moves(robot: Robot, listening: tuple[Client, TransformBuffer]) -> None:
    client, buffer = listening
    clock = robot.node.create_publisher(Clock, "/clock", 10)
    client.node.set_parameters([Parameter("use_sim_time", value=True)])
    wait_until(lambda: clock.get_subscription_count() > 0, "a subscription of /clock")

    def now_is(seconds: int) -> None:
        def reached() -> bool:
            clock.publish(Clock(clock=Time(sec=seconds)))
            return client.node.get_clock().now().nanoseconds == seconds * S

        wait_until(reached, f"the node's clock to show {seconds} s")

    now_is(100)
    robot.send((100.0, "odom", "base", 1.0))
    wait_until(lambda: lookup_or_none(buffer, "odom", "camera", 100 * S), "odom<-camera")
    now_is(101)
    assert lookup_or_none(buffer, "odom", "base", 100 * S) is not None, "a clock that goes on clears nothing"
    now_is(50)
    assert lookup_or_none(buffer, "odom", "base") is None
    assert lookup_or_none(buffer, "base", "camera") is not None
    robot.send((50.0, "odom", "base", 2.0))
    wait_until(lambda: lookup_or_none(buffer, "odom", "camera", 50 * S), "odom<-camera of the second round")


def test_without_tf2_msgs_the_message_names_what_to_install(domain: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tf2_msgs.msg", None)
    with Client(domain) as client, pytest.raises(UserError, match="install ros-jazzy-tf2-msgs"):
        TransformListener(client.node, TransformBuffer())

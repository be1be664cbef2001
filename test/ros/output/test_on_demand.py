"""Outputs on demand, over real DDS: right values for subscribers, nothing published without one."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import numpy as np
import pytest
import rclpy
from builtin_interfaces.msg import Time
from live import Client, wait_until
from nav_msgs.msg import Path
from rclpy.context import Context
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.lifecycle import LifecycleNode
from rclpy.parameter import Parameter
from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import Image, PointCloud2
from untrained import with_scene
from visualization_msgs.msg import Marker, MarkerArray

from transposenet_core.estimate import Estimate
from transposenet_core.geometry.pose import Pose
from transposenet_core.inspection.attention_overlay import overlay
from transposenet_core.localizer import Localizer
from transposenet_core.scene_model import KnownFrames, SceneModel
from transposenet_ros.output.frame import Frame
from transposenet_ros.output.on_demand import OnDemand
from transposenet_ros.replay.processes import free_domain

LENGTH, SPACING = 4, 0.5
TOPICS = {"path": Path, "markers": MarkerArray, "training_positions": PointCloud2}
# Long enough for a message that is there to arrive, short enough to wait for one that is not.
SILENCE_SECONDS = 0.4


class Shown:
    """A life-cycle node that holds OnDemand and nothing else, spun as the localizer is, and a client beside it."""

    def __init__(self, domain: int, scene_model: SceneModel) -> None:
        self.context = Context()
        rclpy.init(context=self.context, domain_id=domain)
        depth = Parameter("qos_overrides./shown/path.publisher.depth", value=3)
        self.node = LifecycleNode("shown", context=self.context, parameter_overrides=[depth])
        self.on_demand = OnDemand(self.node, scene_model, "floor", LENGTH, SPACING)
        self._executor = SingleThreadedExecutor(context=self.context)
        self._executor.add_node(self.node)
        self._thread = threading.Thread(target=self._spin, daemon=True)
        self._thread.start()
        self.node.trigger_configure()
        self.frames = 0

    def _spin(self) -> None:
        try:
            self._executor.spin()
        except ExternalShutdownException:
            pass

    def activate(self) -> None:
        self.node.trigger_activate()
        self.on_demand.forget()

    def frame(self, estimate: Estimate, image_HW3: np.ndarray) -> None:
        self.frames += 1
        self.on_demand.publish(Frame(Time(sec=self.frames), "floor", "camera", image_HW3, estimate))

    def close(self) -> None:
        self.on_demand.close()
        self._executor.shutdown()
        self._thread.join(5)
        self.node.destroy_node()
        rclpy.shutdown(context=self.context, uninstall_handlers=False)


@pytest.fixture(scope="module")
def scene_model(localizer: Localizer) -> SceneModel:
    positions_N3 = np.arange(15.0).reshape(5, 3) / 8  # exact in float32
    orientations_N4 = np.tile((1.0, 0.0, 0.0, 0.0), (5, 1))
    return with_scene(localizer.scene_model, frames=KnownFrames.trained_on(positions_N3, orientations_N4))


@pytest.fixture
def shown(scene_model: SceneModel, domain: int) -> Iterator[Shown]:
    held = Shown(domain, scene_model)
    yield held
    held.close()


@pytest.fixture
def client(shown: Shown, domain: int) -> Iterator[Client]:
    with Client(domain) as listener:
        yield listener


def listen(client: Client, topic: str, kind: type | None = None, lasting: bool = True) -> list:
    """A list that grows with the messages of a topic, including those kept for late-joining subscribers."""
    durability = DurabilityPolicy.TRANSIENT_LOCAL if lasting else DurabilityPolicy.VOLATILE
    received: list = []
    profile = QoSProfile(
        history=HistoryPolicy.KEEP_LAST, depth=50, reliability=ReliabilityPolicy.RELIABLE, durability=durability
    )
    client.node.create_subscription(kind or TOPICS[topic], f"/shown/{topic}", received.append, profile)
    return received


def at(x: float, localized: bool = True, **more: dict) -> Estimate:
    pose = Pose(np.array([x, 0.0, 0.0]), np.array([1.0, 0, 0, 0]))
    return Estimate(pose, np.eye(6), localized, "" if localized else "out_of_scene", "office", "office_map", **more)


def xs(path: Path) -> list[float]:
    return [pose.pose.position.x for pose in path.poses]


def test_a_listener_gets_scene_and_path_before_the_next_frame(
    shown: Shown, client: Client, image_HW3: np.ndarray, scene_model: SceneModel
) -> None:
    """The path is kept while nobody listens, bounded and thinned, and is published without a further frame."""
    shown.activate()
    for x in (0, 0.4, 0.6, 0.7, 1.2, 5, 6, 7.0):
        shown.frame(at(x), image_HW3)
    shown.frame(at(9.0, localized=False), image_HW3)
    paths, markers, clouds = (listen(client, topic) for topic in TOPICS)
    wait_until(lambda: paths and markers and clouds, "a first message of each")
    assert xs(paths[0]) == [1.2, 5, 6, 7]  # 0.4 and 0.7 were too near, 0 and 0.6 are too long ago
    assert paths[0].header.frame_id == paths[0].poses[0].header.frame_id == "floor"
    assert [pose.header.stamp.sec for pose in paths[0].poses] == [5, 6, 7, 8]
    assert clouds[0].header.frame_id == "floor"
    points_N3 = np.frombuffer(clouds[0].data, np.float32).reshape(-1, 3)
    np.testing.assert_array_equal(points_N3, scene_model.scenes[0].training_positions_N3)
    training, camera, _ = markers[0].markers
    assert len(training.points) == 5 * 6 and training.header.frame_id == "floor"
    assert camera.action == Marker.DELETE  # the last frame was not localized


def test_listeners_from_before_activation_get_everything_and_follow_the_frames(
    shown: Shown, client: Client, image_HW3: np.ndarray
) -> None:
    paths, markers, clouds = (listen(client, topic) for topic in TOPICS)
    wait_until(lambda: all(p.get_subscription_count() for p in shown.on_demand._publishers[2:]), "three matches")
    time.sleep(SILENCE_SECONDS)
    assert paths == markers == clouds == []
    shown.activate()
    wait_until(lambda: paths and markers and clouds, "a first message of each")
    for x in (3.0, 3.1):
        seen = len(markers)  # one at a time: of two messages at once the first may give way to the second
        shown.frame(at(x), image_HW3)
        wait_until(lambda seen=seen: len(markers) > seen, "the frame's markers")
    assert markers[-1].markers[1].header.stamp.sec == 2
    assert [marker.action for marker in markers[-1].markers] == [Marker.ADD] * 3
    assert markers[-1].markers[2].pose.position.x == pytest.approx(3.1)
    assert [xs(path) for path in paths] == [[], [3.0]]  # 3.1 was too near to be news
    assert len(clouds) == 1


def test_nothing_is_published_for_nobody(shown: Shown, client: Client, image_HW3: np.ndarray) -> None:
    """What is published is kept for late-joining subscribers: after deactivation they must find nothing."""
    shown.activate()
    for x in range(5):
        shown.frame(at(x), image_HW3)
    assert not shown.on_demand.wants_attention() and not shown.on_demand.has_listeners()
    shown.node.trigger_deactivate()
    received = [listen(client, topic) for topic in TOPICS]
    wait_until(lambda: all(p.get_subscription_count() for p in shown.on_demand._publishers[2:]), "three matches")
    time.sleep(SILENCE_SECONDS)
    assert received == [[], [], []]
    shown.activate()  # and the silence was not of our making
    wait_until(lambda: all(received), "a first message of each")
    assert shown.on_demand.has_listeners()


def test_attention_is_wanted_and_drawn_while_somebody_listens(
    shown: Shown, client: Client, image_HW3: np.ndarray, localizer: Localizer
) -> None:
    shown.activate()
    estimate = localizer.localize(image_HW3, with_attention=True)
    received = listen(client, "attention/orientation", Image, lasting=False)
    wait_until(shown.on_demand.wants_attention, "the request for attention")
    # Matched on our side is not yet matched on the listener's, and heat maps are not transient local.
    wait_until(lambda: shown.frame(estimate, image_HW3) or received, "a heat map")
    message = received[-1]
    assert (message.header.frame_id, message.encoding, message.header.stamp.nanosec) == ("camera", "rgb8", 0)
    drawn_HW3 = np.frombuffer(message.data, np.uint8).reshape(64, 96, 3)
    expected_HW3 = overlay(image_HW3, estimate.attention["orientation"], localizer.scene_model.preprocessing)
    np.testing.assert_array_equal(drawn_HW3, expected_HW3)
    shown.frame(localizer.localize(image_HW3), image_HW3)  # without attention: localized before the listener came
    without, last = shown.frames, shown.frames + 1
    shown.frame(estimate, image_HW3)
    wait_until(lambda: received[-1].header.stamp.sec == last, "the last heat map")
    assert without not in [message.header.stamp.sec for message in received]
    client.node.destroy_subscription(next(s for s in client.node.subscriptions if "attention" in s.topic_name))
    wait_until(lambda: not shown.on_demand.wants_attention(), "the end of the request")


def test_after_a_reset_path_and_estimate_are_gone_for_listeners_too(
    shown: Shown, client: Client, image_HW3: np.ndarray
) -> None:
    shown.activate()
    paths, markers = listen(client, "path"), listen(client, "markers")
    wait_until(lambda: paths and markers, "a first message of each")
    shown.frame(at(1.0), image_HW3)
    shown.frame(at(2.0), image_HW3)
    wait_until(lambda: paths and xs(paths[-1]) == [1, 2], "the path")
    wait_until(lambda: markers[-1].markers[1].action == Marker.ADD, "markers with an estimate")
    known, drawings = len(paths), len(markers)
    shown.on_demand.forget()
    wait_until(lambda: len(paths) > known and len(markers) > drawings, "what is shown after the reset")
    assert [xs(path) for path in paths[known:]] == [[]]
    assert [message.markers[1].action for message in markers[drawings:]] == [Marker.DELETE]
    shown.frame(at(2.1), image_HW3)  # too near to 2.0 for a path that went on
    wait_until(lambda: len(paths) > known + 1, "a new path")
    assert xs(paths[-1]) == [2.1]


def test_another_scene_is_shown_in_the_place_of_the_first(
    shown: Shown, client: Client, image_HW3: np.ndarray, scene_model: SceneModel
) -> None:
    shown.activate()
    paths, markers, clouds = (listen(client, topic) for topic in TOPICS)
    wait_until(lambda: paths and markers and clouds, "a first message of each")
    shown.frame(at(1.0), image_HW3)
    frames = scene_model.scenes[0].frames
    smaller = with_scene(
        scene_model, frames=KnownFrames.trained_on(frames.positions_N3[:2] + 8, frames.orientations_N4[:2])
    )
    shown.on_demand.show_scene(smaller, "cellar")
    wait_until(lambda: clouds[-1].width == 2, "the other scene's positions")
    assert clouds[-1].header.frame_id == "cellar"
    wait_until(lambda: paths[-1].header.frame_id == "cellar", "its path")
    assert paths[-1].poses == []
    wait_until(lambda: len(markers[-1].markers[0].points) == 12, "its training poses")


def test_quality_of_service_is_standard_and_overridable(shown: Shown, client: Client) -> None:
    def profile(topic: str) -> QoSProfile:
        (info,) = wait_until(lambda: client.node.get_publishers_info_by_topic(f"/shown/{topic}"), topic)
        return info.qos_profile

    assert {profile(topic).durability for topic in TOPICS} == {DurabilityPolicy.TRANSIENT_LOCAL}
    assert profile("attention/position").durability == DurabilityPolicy.VOLATILE
    depths = {p.topic_name: p.qos_profile.depth for p in shown.on_demand._publishers}
    assert depths.pop("/shown/path") == 3
    assert set(depths.values()) == {1}


def test_close_leaves_no_publisher_and_can_be_repeated(scene_model: SceneModel) -> None:
    with free_domain() as domain:
        held = Shown(domain, scene_model)
        before = len(list(held.node.publishers)) - len(held.on_demand._publishers)
        for _ in range(3):
            held.on_demand.close()
            assert len(list(held.node.publishers)) == before
            held.on_demand = OnDemand(held.node, scene_model, "floor", LENGTH, SPACING)
        held.close()

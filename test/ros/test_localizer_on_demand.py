"""What a running localizer publishes on demand: without a subscriber, for a late-joining one, with every frame."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
from live import MATCH_SECONDS, image_message, wait_until
from nav_msgs.msg import Path as PathMessage
from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import Image, PointCloud2
from std_srvs.srv import Trigger
from untrained import with_scene
from visualization_msgs.msg import Marker, MarkerArray
from watched import Watched, watched

from transposenet_core.inspection.attention_overlay import overlay
from transposenet_core.localizer import Localizer
from transposenet_core.scene_model import KnownFrames, SceneModel

POSITIONS_N3 = np.arange(15.0).reshape(5, 3) / 8
LASTING = QoSProfile(
    history=HistoryPolicy.KEEP_LAST,
    depth=50,
    reliability=ReliabilityPolicy.RELIABLE,
    durability=DurabilityPolicy.TRANSIENT_LOCAL,
)
KINDS = {"path": PathMessage, "markers": MarkerArray, "training_positions": PointCloud2}
HEAT_MAPS = ("attention/position", "attention/orientation")


def surveyed(model: SceneModel, folder: Path) -> Path:
    """The model with five training poses."""
    orientations_N4 = np.tile((1.0, 0.0, 0.0, 0.0), (5, 1))
    with_scene(model, frames=KnownFrames.trained_on(POSITIONS_N3, orientations_N4)).save(folder)
    return folder


def listen(node: Watched, topic: str) -> list:
    received: list = []
    node.client.node.create_subscription(KINDS[topic], f"/localizer/{topic}", received.append, LASTING)
    return received


def test_path_markers_attention_and_training_positions_are_published_to_subscribers(
    scene_model_folder: Path, localizer: Localizer, images: list[np.ndarray], tmp_path: Path
) -> None:
    folder = surveyed(localizer.scene_model, tmp_path / "office")
    with watched(folder, listen=False, tf_mode="none", path_spacing=0.0) as node:
        camera = node.camera()

        def send(image_HW3: np.ndarray) -> float:
            now = time.time()
            camera.publish(image_message(image_HW3, now))
            return now

        before = node.values()["localized"]
        for k, image_HW3 in enumerate(images):
            send(image_HW3)
            node.wait_for_count("not_listened", k + 1)
        assert node.values()["localized"] == before == "0", "nothing is computed for nobody"

        clouds = listen(node, "training_positions")
        wait_until(lambda: clouds, "the training positions, without any frame")
        assert clouds[0].header.frame_id == "office_map"
        np.testing.assert_array_equal(np.frombuffer(clouds[0].data, np.float32).reshape(-1, 3), POSITIONS_N3)
        send(images[0])
        node.wait_for_count("not_listened", len(images) + 1)

        paths, markers = listen(node, "path"), listen(node, "markers")
        wait_until(lambda: paths and markers, "what is there before the first frame")
        assert paths[0].poses == [] and markers[0].markers[1].action == Marker.DELETE
        for k, image_HW3 in enumerate(images):
            send(image_HW3)
            wait_until(lambda k=k: len(paths[-1].poses) == k + 1, "a longer path")
        expected_N3 = [localizer.localize(image_HW3).pose.position for image_HW3 in images]
        found = [pose.pose.position for pose in paths[-1].poses]
        np.testing.assert_allclose([(p.x, p.y, p.z) for p in found], expected_N3, atol=1e-4)
        assert paths[-1].header.frame_id == "office_map"
        wait_until(lambda: markers[-1].markers[1].header.stamp == paths[-1].header.stamp, "the newest markers")
        training, shown, ellipsoid = markers[-1].markers
        assert (training.ns, shown.ns, ellipsoid.ns) == ("training", "camera", "covariance")
        assert len(training.points) == 5 * 6 and shown.action == ellipsoid.action == Marker.ADD

        heat = {topic: node.client.collect(Image, f"/localizer/{topic}") for topic in HEAT_MAPS}
        publishers = node.client.node.get_publishers_info_by_topic
        wait_until(lambda: all(publishers(f"/localizer/{topic}") for topic in HEAT_MAPS), "the heat maps' publishers")
        time.sleep(MATCH_SECONDS)
        wait_until(lambda: send(images[0]) and all(heat.values()), "a heat map of each encoder")
        estimate = localizer.localize(images[0], with_attention=True)
        for topic, received in heat.items():
            drawn_HW3 = np.frombuffer(received[-1].data, np.uint8).reshape(images[0].shape).astype(int)
            attention_HW = estimate.attention[topic.removeprefix("attention/")]
            expected_HW3 = overlay(images[0], attention_HW, localizer.scene_model.preprocessing)
            assert abs(drawn_HW3 - expected_HW3).max() <= 2 and received[-1].header.frame_id == "camera"

        assert node.client.call(Trigger, "/localizer/reset", Trigger.Request()).success
        wait_until(lambda: paths[-1].poses == [], "an empty path after a reset")
        assert node.process.alive and "Traceback" not in node.process.log

"""A running node and CameraInfo: absent, useless, of another size or camera; and its topic (fault matrix, N22)."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from camera_infos import info_of
from diagnostic_msgs.msg import DiagnosticStatus
from live import image_message, wait_until
from sensor_msgs.msg import CameraInfo
from untrained import with_scene
from watched import Watched, watched

from transposenet_core.geometry.intrinsics import Intrinsics
from transposenet_core.geometry.pose import Pose
from transposenet_core.localizer import Localizer
from transposenet_core.scene_model import SceneModel
from transposenet_ros.output.conversions import pose_from_message

FOCAL = 80.0
TRAINING = Intrinsics(96, 64, FOCAL, FOCAL, 47.5, 31.5, "calibration.txt")
WIDE = info_of(96, 64, 0.8 * FOCAL)
MISMATCH = "fx is 64.0 instead of 80.0 px"
TOPIC = "/front/image_raw"


def image_by(info: CameraInfo) -> np.ndarray:
    """The image (H, W, 3) that a camera takes of a wall of waves, exact at every pixel."""
    rows, columns = np.mgrid[0 : info.height, 0 : info.width]
    x, y = (columns - info.k[2]) / info.k[0], (rows - info.k[5]) / info.k[4]
    waves = [np.sin(9 * y + 1.3 * k) + np.cos((7 + 3 * k) * x + y) for k in range(3)]
    return np.round(127 + 60 * np.stack(waves, axis=-1)).astype(np.uint8)


@pytest.fixture(scope="module")
def model_folder(scene_model_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The usual model, which now knows its camera."""
    folder = tmp_path_factory.mktemp("camera") / "office"
    with_scene(SceneModel.load(scene_model_folder), intrinsics=TRAINING).save(folder)
    return folder


@pytest.fixture(scope="module")
def node(model_folder: Path) -> Iterator[Watched]:
    with watched(model_folder, "-r", f"image:={TOPIC}", tf_mode="none") as running:
        yield running


@dataclass
class Driver:
    """A camera's driver: images and CameraInfo."""

    node: Watched
    images: Any
    infos: Any

    def describe(self, info: CameraInfo, words: str) -> None:
        """Publish a CameraInfo and wait for the words that the node finds for it."""
        self.infos.publish(info)
        wait_until(lambda: words in self.node.values()["camera"], f"{words!r} about the camera")

    def send(self, info: CameraInfo) -> float:
        """Publish the image that this camera takes."""
        now = time.time()
        self.images.publish(image_message(image_by(info), now))
        return now

    def localize_image(self, info: CameraInfo) -> Pose:
        return pose_from_message(self.node.pose_at(self.send(info)).pose)


def begin_anew(node: Watched, **parameters: object) -> None:
    """A new life, and diagnostics that are of it."""
    node.reconfigure(**parameters)
    wait_until(lambda: "no CameraInfo received" in node.values()["camera"], "a node that knows no camera")


@contextmanager
def driver(node: Watched, policy: str) -> Iterator[Driver]:
    begin_anew(node, on_camera_mismatch=policy)
    infos = node.client.node.create_publisher(CameraInfo, "/front/camera_info", 1)
    wait_until(infos.get_subscription_count, "the node to hear of the camera")
    yield Driver(node, node.camera(TOPIC), infos)
    for publisher in [*node.client.node.publishers]:
        if publisher.topic_name.startswith("/front/"):
            node.client.node.destroy_publisher(publisher)


def distance(pose: Pose, other: Pose) -> float:
    return float(np.linalg.norm(pose.position - other.position))


def test_n22_without_a_useful_camera_info_it_runs_and_warns(node: Watched, localizer: Localizer) -> None:
    training = info_of(96, 64, FOCAL)
    with driver(node, "refuse") as on:
        expected = localizer.localize(image_by(training)).pose
        assert distance(on.localize_image(training), expected) < 1e-4
        text = node.wait_for_level(DiagnosticStatus.WARN, "localizing, but no CameraInfo received")
        assert "calibration.txt" in text
        on.describe(CameraInfo(width=96, height=64), "K is all zero")
        assert distance(on.localize_image(training), expected) < 1e-4
        node.wait_for_level(DiagnosticStatus.WARN, "localizing, but the CameraInfo cannot be used, K is all zero")
        node.process.wait_for_log("K is all zero")
        on.describe(training, "it is the training camera")
        on.localize_image(training)
        node.wait_for_level(DiagnosticStatus.OK, "localizing")


def test_n22_the_training_camera_in_another_size_is_fine(node: Watched, localizer: Localizer) -> None:
    twice = info_of(192, 128, 2 * FOCAL)
    with driver(node, "refuse") as on:
        on.describe(twice, "at 192x128")
        expected = localizer.localize(image_by(twice)).pose
        assert distance(on.localize_image(twice), expected) < 1e-4
        assert node.wait_for_level(DiagnosticStatus.OK, "localizing") == "localizing"


def test_n22_another_camera_is_a_warning_by_policy_warn(node: Watched, localizer: Localizer) -> None:
    with driver(node, "warn") as on:
        on.describe(WIDE, MISMATCH)
        assert distance(on.localize_image(WIDE), localizer.localize(image_by(WIDE)).pose) < 1e-4, "the image as it is"
        node.wait_for_level(DiagnosticStatus.WARN, f"localizing, but {MISMATCH}")
        node.process.wait_for_log(MISMATCH)


def test_n22_another_camera_is_refused_by_policy_refuse_until_the_right_one_comes(node: Watched) -> None:
    with driver(node, "refuse") as on:
        on.describe(WIDE, MISMATCH)
        published = len(node.poses)
        for k in range(3):
            on.send(WIDE)
            node.wait_for_count("camera_mismatch", k + 1)
        assert node.wait_for_level(DiagnosticStatus.ERROR) == "no frame localized: camera_mismatch"
        node.process.wait_for_log(f"frame dropped, camera_mismatch: {MISMATCH}")
        assert len(node.poses) == published
        training = info_of(96, 64, FOCAL)
        on.describe(training, "it is the training camera")
        on.localize_image(training)
        node.wait_for_level(DiagnosticStatus.OK, "localizing")
        assert node.count("camera_mismatch") == 3


def test_n22_images_of_another_camera_are_warped_by_policy_warp(node: Watched, localizer: Localizer) -> None:
    expected = localizer.localize(image_by(info_of(96, 64, FOCAL))).pose
    untouched = localizer.localize(image_by(WIDE)).pose
    with driver(node, "warp") as on:
        on.describe(WIDE, "warped to the training camera")
        found = on.localize_image(WIDE)
        assert distance(found, expected) < 0.1 * distance(untouched, expected)
        assert node.wait_for_level(DiagnosticStatus.OK, "localizing") == "localizing"
        assert MISMATCH in node.values()["camera"] and "100%" in node.values()["camera"]


def test_camera_info_lies_beside_the_images_of_either_transport_and_elsewhere_by_remapping(
    node: Watched, model_folder: Path
) -> None:
    def wait_for_camera(of: Watched, topic: str) -> None:
        infos = of.client.node.create_publisher(CameraInfo, topic, 1)
        wait_until(lambda: infos.publish(WIDE) or MISMATCH in of.values()["camera"], f"CameraInfo from {topic}")

    begin_anew(node, on_camera_mismatch="warn", image_transport="compressed")
    wait_for_camera(node, "/front/camera_info")
    with watched(model_folder, "-r", f"image:={TOPIC}", "-r", "camera_info:=/calibrated/info") as other:
        wait_for_camera(other, "/calibrated/info")
        assert not other.client.node.get_subscriptions_info_by_topic("/front/camera_info")

"""A running localizer on compressed images, with the frames given by parameters and TF off."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import PoseStamped
from live import Client, Process, compressed_message, localizer_process, wait_until
from sensor_msgs.msg import CompressedImage

from transposenet_core.geometry.pose import rotation_angle_deg
from transposenet_core.image_files import read_image
from transposenet_core.localizer import Localizer
from transposenet_ros.output.conversions import pose_from_message
from transposenet_ros.replay.processes import free_domain


@dataclass
class Running:
    process: Process
    client: Client
    camera: Any
    poses: list[PoseStamped]
    diagnostics: list[DiagnosticArray]
    stamps: Iterator[int] = field(default_factory=lambda: itertools.count(1000))

    def localize(self, data: bytes, format: str = "jpeg") -> PoseStamped:
        message = compressed_message(data, next(self.stamps), frame_id="ignored", format=format)
        self.camera.publish(message)
        stamp = message.header.stamp
        return wait_until(lambda: next((p for p in list(self.poses) if p.header.stamp == stamp), None), "a pose")

    def count(self, reason: str) -> int:
        pairs = self.diagnostics[-1].status[0].values if self.diagnostics else []
        return next((int(pair.value) for pair in pairs if pair.key == f"dropped_{reason}"), 0)


@pytest.fixture(scope="module")
def running(scene_model_folder: Path) -> Iterator[Running]:
    parameters = {"image_transport": "compressed", "map_frame": "hall", "camera_frame": "eye", "tf_mode": "none"}
    remap = ["-r", "image:=/front/image_raw", "-r", "__ns:=/robot"]
    with (
        free_domain() as domain,
        localizer_process(domain, scene_model_folder, *remap, **parameters) as process,
        Client(domain) as client,
    ):
        poses = client.collect(PoseStamped, "/robot/localizer/pose")
        diagnostics = client.collect(DiagnosticArray, "/diagnostics")
        client.wait_for_state("active", node="/robot/localizer")
        camera = client.image_publisher(CompressedImage, "/front/image_raw/compressed")
        yield Running(process, client, camera, poses, diagnostics)


def assert_same_pose(live: PoseStamped, localizer: Localizer, image_HW3: np.ndarray) -> None:
    pose, offline = pose_from_message(live.pose), localizer.localize(image_HW3).pose
    np.testing.assert_allclose(pose.position, offline.position, atol=1e-6)
    assert rotation_angle_deg(pose.orientation, offline.orientation) < 1e-4


@pytest.mark.parametrize("extension", [".jpg", ".png"])
def test_a_compressed_image_equals_its_file(
    running: Running, localizer: Localizer, image_HW3: np.ndarray, tmp_path: Path, extension: str
) -> None:
    file = tmp_path / f"image{extension}"
    cv2.imwrite(str(file), image_HW3[..., ::-1])
    pose = running.localize(file.read_bytes(), format=extension[1:])
    assert_same_pose(pose, localizer, read_image(file))
    assert pose.header.frame_id == "hall", "parameter map_frame"


def test_tf_is_off(running: Running) -> None:
    assert running.client.node.get_publishers_info_by_topic("/tf") == []


def test_twenty_real_frames_equal_their_files(running: Running, localizer: Localizer, data_folder: Path) -> None:
    files = sorted((data_folder / "7scenes" / "redkitchen" / "seq-01").glob("*.color.jpg"))[::45][:22]
    assert len(files) >= 20
    for file in files:
        assert_same_pose(running.localize(file.read_bytes()), localizer, read_image(file))


@pytest.mark.parametrize("case", ["empty", "truncated", "ends_early", "garbage", "h264", "depth", "huge"])
def test_n05_n08_n09_a_corrupt_image_is_dropped_and_the_next_good_one_localizes(
    running: Running, image_HW3: np.ndarray, case: str
) -> None:
    good = cv2.imencode(".jpg", image_HW3)[1].tobytes()
    frame = good.index(b"\xff\xc0")
    data, format, reason = {
        "empty": (b"", "jpeg", "decode_failed"),
        "truncated": (good[: len(good) // 2], "jpeg", "decode_failed"),
        "ends_early": (good[: len(good) // 2] + good[-2:], "jpeg", "decode_failed"),
        "garbage": (bytes(range(256)) * 4, "jpeg", "decode_failed"),
        "h264": (b"\x00\x00\x00\x01" + bytes(100), "h264", "bad_encoding"),
        "depth": (
            cv2.imencode(".png", image_HW3[..., 0].astype(np.uint16))[1].tobytes(),
            "16UC1; png compressed ",
            "bad_encoding",
        ),
        "huge": (good[: frame + 5] + b"\xff\xff\xff\xff" + good[frame + 9 :], "jpeg", "bad_dims"),
    }[case]
    running.localize(good)
    published, before = len(running.poses), running.count(reason)
    running.camera.publish(compressed_message(data, next(running.stamps), format=format))
    wait_until(lambda: running.count(reason) == before + 1, f"the count of {reason}")
    assert len(running.poses) == published
    running.localize(good)
    assert running.process.alive
    assert f"/front/image_raw/compressed: frame dropped, {reason}" in running.process.log

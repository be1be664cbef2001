"""A running localizer, fed through DDS: good images get the offline pose, bad ones a reason and nothing else."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from geometry_msgs.msg import PoseStamped, PoseWithCovarianceStamped
from live import Client, Process, image_message, localizer_process, quality, seconds_of, wait_until
from rclpy.qos import ReliabilityPolicy
from sensor_msgs.msg import Image
from tf2_msgs.msg import TFMessage

from transposenet_core.geometry.pose import rotation_angle_deg
from transposenet_core.localizer import Localizer
from transposenet_ros.output.conversions import pose_from_message
from transposenet_ros.replay.processes import free_domain


@dataclass
class Running:
    """A node that is active, the client that feeds it, and everything that it has published since."""

    domain: int
    process: Process
    client: Client
    camera: Any
    poses: list[PoseStamped]
    covariances: list[PoseWithCovarianceStamped]
    transforms: list[TFMessage]
    statuses: list[DiagnosticArray]
    diagnostics: list[DiagnosticArray]

    def localize(self, message: Image) -> PoseStamped:
        """Send one image and return its pose, once everything about it has arrived."""
        self.camera.publish(message)
        for name in ("covariances", "transforms", "statuses"):
            wait_until(lambda name=name: self.published(name, message), f"one of the {name}")
        return wait_until(lambda: self.published("poses", message), "a pose")

    def published(self, name: str, request: Image) -> Any:
        """What was published under the stamp of an image: poses, covariances, transforms or statuses."""
        messages = list(getattr(self, name))
        if name == "transforms":
            messages = [transform for message in messages for transform in message.transforms]
        return next((published for published in messages if published.header.stamp == request.header.stamp), None)

    def image(self, image_HW3: np.ndarray, **options: Any) -> Image:
        return image_message(image_HW3, time.time(), **options)

    def reported(self, since: int) -> list[tuple[bytes, str]]:
        """Level and message of every diagnostics message but the first `since`."""
        return [(message.status[0].level, message.status[0].message) for message in self.diagnostics[since:]]

    def values(self) -> dict[str, str]:
        """The values of the newest diagnostics."""
        return {pair.key: pair.value for pair in self.diagnostics[-1].status[0].values}

    def count(self, reason: str) -> int:
        return int(self.values().get(f"dropped_{reason}", 0))


@pytest.fixture(scope="module")
def running(scene_model_folder: Path) -> Iterator[Running]:
    with free_domain() as domain, localizer_process(domain, scene_model_folder) as process, Client(domain) as client:
        poses = client.collect(PoseStamped, "/localizer/pose")
        covariances = client.collect(PoseWithCovarianceStamped, "/localizer/pose_with_covariance")
        transforms = client.collect(TFMessage, "/tf")
        statuses = client.collect(DiagnosticArray, "/localizer/status")
        diagnostics = client.collect(DiagnosticArray, "/diagnostics")
        client.wait_for_state("active")
        camera = client.image_publisher(Image, "/image")
        wait_until(lambda: diagnostics, "diagnostics")
        yield Running(domain, process, client, camera, poses, covariances, transforms, statuses, diagnostics)


def test_every_frame_gets_the_offline_pose_under_its_own_stamp(
    running: Running, localizer: Localizer, image_HW3: np.ndarray
) -> None:
    images = [np.roll(image_HW3, 5 * k, axis=1) for k in range(5)]
    for rolled_HW3 in images:
        message = running.image(rolled_HW3, frame_id="eye")
        pose = running.localize(message)
        offline = localizer.localize(rolled_HW3)
        live = pose_from_message(pose.pose)
        np.testing.assert_allclose(live.position, offline.pose.position, atol=1e-6)
        assert rotation_angle_deg(live.orientation, offline.pose.orientation) < 1e-4
        assert pose.header.frame_id == "office_map"
        assert pose.header.stamp == message.header.stamp
        covariance = running.published("covariances", message)
        assert covariance.header == pose.header and covariance.pose.pose == pose.pose
        np.testing.assert_allclose(
            np.reshape(covariance.pose.covariance, (6, 6)), offline.covariance_66, rtol=1e-9, atol=1e-15
        )
        status = running.published("statuses", message)
        assert (status.status[0].level, status.status[0].message) == (DiagnosticStatus.OK, "localized")
        values = {pair.key: pair.value for pair in status.status[0].values}
        assert values["confidence"] == f"one sigma 0.374 m, 2.14 deg: {offline.covariance_source}"
    positions = {(p.pose.position.x, p.pose.position.y) for p in running.poses}
    assert len(positions) >= 5, "different images, different poses"


def test_transform_and_pose_agree_and_name_both_frames(running: Running, image_HW3: np.ndarray) -> None:
    message = running.image(image_HW3, frame_id="camera_optical")
    pose = running.localize(message)
    found = running.published("transforms", message)
    assert found.header == pose.header
    assert found.child_frame_id == "camera_optical"
    translation, position = found.transform.translation, pose.pose.position
    assert (translation.x, translation.y, translation.z) == (position.x, position.y, position.z)
    assert found.transform.rotation == pose.pose.orientation
    profiles = [info.qos_profile for info in running.client.node.get_publishers_info_by_topic("/tf")]
    assert [(p.reliability, p.depth or 100) for p in profiles] == [(ReliabilityPolicy.RELIABLE, 100)]


def test_a_foreign_dds_client_reads_the_same_values(running: Running, image_HW3: np.ndarray) -> None:
    pytest.importorskip("cyclonedds", reason="the foreign DDS client (PyPI cyclonedds) is not installed")
    from foreign_client import ForeignClient

    foreign = ForeignClient(running.domain, "/localizer/pose")
    wait_until(lambda: foreign.connected, "the foreign client to find both topics")

    # The reader knows the writer before the writer knows the reader, and what was published in between is not resent.
    def replied() -> bool:
        running.localize(running.image(image_HW3))
        foreign.take()
        return bool(foreign.poses and foreign.transforms)

    wait_until(replied, "a pose and a transform at the foreign client")
    message = running.image(np.roll(image_HW3, 11, axis=1))
    ours, stamp = running.localize(message), message.header.stamp

    def same_frame() -> bool:
        foreign.take()
        newest = foreign.poses[-1].header, foreign.transforms[-1].header
        return all((header.stamp.sec, header.stamp.nanosec) == (stamp.sec, stamp.nanosec) for header in newest)

    wait_until(same_frame, "pose and transform of the last image at the foreign client")
    theirs, transform = foreign.poses[-1], foreign.transforms[-1]
    p, q = ours.pose.position, ours.pose.orientation
    values = (p.x, p.y, p.z, q.x, q.y, q.z, q.w)
    for position, rotation in (
        (theirs.pose.position, theirs.pose.orientation),
        (transform.transform.translation, transform.transform.rotation),
    ):
        assert values == (position.x, position.y, position.z, rotation.x, rotation.y, rotation.z, rotation.w)
    assert theirs.header.frame_id == transform.header.frame_id == "office_map"
    assert transform.child_frame_id == "camera"


def test_n03_row_padding_does_not_change_the_pose(running: Running, image_HW3: np.ndarray) -> None:
    plain = running.localize(running.image(image_HW3)).pose
    padded = running.localize(running.image(image_HW3, padding=21)).pose
    assert padded == plain


def spoilt(message: Image, fault: str) -> Image:
    if fault == "bad_size":
        message.data = message.data[: len(message.data) // 2]
    elif fault == "bad_step":
        message.step = 0
    elif fault == "bad_dims":
        message.width = message.height = 65535
    elif fault == "bad_encoding":
        message.encoding = "foo8"
    elif fault == "zero_stamp":
        message.header.stamp = Time()
    elif fault == "no_frame_id":
        message.header.frame_id = ""
    return message


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param("bad_size", id="n01_truncated_data"),
        pytest.param("bad_step", id="n02_bad_step"),
        pytest.param("bad_dims", id="n04_bad_dims"),
        pytest.param("bad_encoding", id="n05_unknown_encoding"),
        pytest.param("zero_stamp", id="n14_zero_stamp"),
        pytest.param("no_frame_id", id="n18_no_frame_id"),
    ],
)
def test_n01_n02_n04_n05_n14_a_bad_frame_is_dropped_by_name_and_the_next_good_one_localizes(
    running: Running, image_HW3: np.ndarray, fault: str
) -> None:
    running.localize(running.image(image_HW3))
    published = len(running.poses), len(running.transforms), len(running.statuses)
    before, reports = running.count(fault), len(running.diagnostics)
    for k in range(3):
        running.camera.publish(spoilt(running.image(image_HW3), fault))
        wait_until(lambda k=k: running.count(fault) == before + k + 1, f"the count of {fault}")
    assert (len(running.poses), len(running.transforms), len(running.statuses)) == published
    level = DiagnosticStatus.ERROR if fault == "bad_encoding" else DiagnosticStatus.WARN
    assert (level, f"no frame localized: {fault}") in running.reported(since=reports)
    lines = [line for line in running.process.log.splitlines() if f"frame dropped, {fault}" in line]
    assert len(lines) == 1, "one line per reason in 5 s"
    assert "/image" in lines[0]
    if fault == "bad_encoding":
        assert "[ERROR]" in lines[0] and "rgb8, bgr8, rgba8, bgra8, mono8" in lines[0]
    running.localize(running.image(image_HW3))
    assert running.process.alive


def test_of_a_burst_the_newest_is_localized_and_every_frame_is_accounted_for(
    running: Running, image_HW3: np.ndarray
) -> None:
    """More images than the network can process: the last one is localized, the replaced ones are counted."""
    burst = [running.image(np.roll(image_HW3, k, axis=0)) for k in range(40)]
    for message in burst:
        running.camera.publish(message)
        time.sleep(0.003)
    wait_until(lambda: running.published("poses", burst[-1]), "a pose of the last image")
    stamps = [seconds_of(pose) for pose in running.poses]
    assert stamps == sorted(stamps)

    def balanced() -> bool:
        values = running.values()
        return int(values["received"]) == int(values["localized"]) + int(values["dropped"]) and (
            int(values["localized"]) == len(running.poses)
        )

    wait_until(balanced, "received = localized + dropped")
    assert running.count("superseded") > 0


def test_diagnostics_have_latencies_model_and_topic(running: Running, image_HW3: np.ndarray) -> None:
    reports = len(running.diagnostics)
    running.localize(running.image(image_HW3))
    wait_until(lambda: (DiagnosticStatus.OK, "localizing") in running.reported(since=reports), "a good report")
    values = running.values()
    assert values["state"] == "active" and values["scene"] == "office" and values["device"] == "cpu"
    assert values["topic"] == "/image" and values["reliability"] == "reliable"
    for stage in ("overhead", "inference", "latency"):
        assert 0 < float(values[f"{stage}_p50_ms"]) <= float(values[f"{stage}_p95_ms"])


def test_a_best_effort_camera_is_heard_beside_a_reliable_one(running: Running, image_HW3: np.ndarray) -> None:
    """Last of this file, because it changes the reliability that `image_qos: auto` takes."""
    second = running.client.node.create_publisher(Image, "/image", quality(reliable=False))
    try:
        running.client.wait_for_listener("/image", reliable=False)
        wait_until(lambda: second.get_subscription_count() == 1, "a match")
        message = running.image(image_HW3)
        second.publish(message)
        pose = wait_until(lambda: running.published("poses", message), "a pose of the best-effort camera")
        assert pose.header.stamp == message.header.stamp
    finally:
        running.client.node.destroy_publisher(second)
    running.client.wait_for_listener("/image", reliable=True)

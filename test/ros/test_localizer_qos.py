"""The QoS that a running localizer offers, and that which its user sets instead."""

from __future__ import annotations

from pathlib import Path

import yaml
from live import Client, localizer_process, wait_until
from rclpy.qos import ReliabilityPolicy
from watched import Watched, watched

OVERRIDDEN = ("/localizer/pose", "/localizer/base_pose", "/tf", "/initialpose", "/localizer/path")


def offered(node: Watched, topic: str) -> ReliabilityPolicy:
    (publisher,) = wait_until(lambda: node.client.node.get_publishers_info_by_topic(topic), topic)
    return publisher.qos_profile.reliability


def test_every_publisher_follows_the_standard_overrides(scene_model_folder: Path, tmp_path: Path) -> None:
    overrides = {topic: {"publisher": {"reliability": "best_effort"}} for topic in OVERRIDDEN}
    parameters = tmp_path / "qos.yaml"
    parameters.write_text(yaml.safe_dump({"/localizer": {"ros__parameters": {"qos_overrides": overrides}}}))
    with watched(
        scene_model_folder, "--params-file", str(parameters), listen=False, publish_initialpose="once"
    ) as node:
        for _ in range(2):  # also when configured a second time
            assert {offered(node, topic) for topic in OVERRIDDEN} == {ReliabilityPolicy.BEST_EFFORT}
            assert offered(node, "/localizer/pose_with_covariance") == ReliabilityPolicy.RELIABLE
            node.reconfigure(tf_mode="map_to_base")


def test_diagnostics_follow_them_from_the_start(domain: int) -> None:
    override = "qos_overrides./diagnostics.publisher.reliability:=best_effort"
    with localizer_process(domain, "''", "-p", override, autostart="false"), Client(domain) as client:
        (publisher,) = wait_until(lambda: client.node.get_publishers_info_by_topic("/diagnostics"), "diagnostics")
        assert publisher.qos_profile.reliability == ReliabilityPolicy.BEST_EFFORT

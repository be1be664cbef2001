"""What a node opens when it is configured or activated: all of it, or nothing that stays behind."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import rclpy
from rclpy.context import Context
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.parameter import Parameter

from transposenet_ros.localizer_node import LocalizerNode
from transposenet_ros.transforms.listener import TransformListener

SUCCESS, FAILURE = TransitionCallbackReturn.SUCCESS, TransitionCallbackReturn.FAILURE
OUTPUTS = ("base_pose", "pose", "status", "attention/orientation", "path", "training_positions")


@contextmanager
def localizer_node(domain: int, model: Path, *remaps: str, **overrides: object) -> Iterator[LocalizerNode]:
    """The node in this process; nobody spins it."""
    context = Context()
    rclpy.init(context=context, domain_id=domain)
    values = {"model": str(model), "device": "cpu", "torch_threads": 1, "autostart": False, **overrides}
    node = LocalizerNode(
        context=context,
        parameter_overrides=[Parameter(name, value=value) for name, value in values.items()],
        cli_args=["--ros-args", *(item for rule in remaps for item in ("-r", rule))],
    )
    try:
        yield node
    finally:
        node.close()
        node.destroy_node()
        rclpy.shutdown(context=context, uninstall_handlers=False)


def opened(node: LocalizerNode) -> dict[str, list[str]]:
    """What a node has open: a topic twice shows as two."""
    return {
        "publishers": sorted(publisher.topic_name for publisher in node.publishers),
        "subscriptions": sorted(subscription.topic_name for subscription in node.subscriptions),
        "timers": sorted(str(timer.timer_period_ns) for timer in node.timers),
        "listeners": ["/tf"] * TransformListener.count(),
        "workers": [thread.name for thread in threading.enumerate() if thread.name == "localizer_worker"],
    }


def override(topic: str) -> dict[str, object]:
    """A QoS override that does not exist: rclpy raises when the publisher is opened."""
    return {f"qos_overrides./{topic}.publisher.reliability": "very"}


@pytest.mark.parametrize("topic", ["tf", "initialpose", *(f"localizer/{name}" for name in OUTPUTS)])
def test_a_publisher_that_cannot_be_opened_takes_the_others_with_it(
    scene_model_folder: Path, domain: int, topic: str
) -> None:
    with localizer_node(domain, scene_model_folder, publish_initialpose="once", **override(topic)) as node:
        before = opened(node)
        for _ in range(2):
            assert node.trigger_configure() == FAILURE
            assert "Unexpected QoS override" in node.fault
            assert opened(node) == before


@pytest.mark.parametrize("topic", ["/tf", "/diagnostics", "/camera_info"])
def test_a_subscription_that_is_refused_takes_the_worker_and_the_others_with_it(
    scene_model_folder: Path, domain: int, topic: str
) -> None:
    with localizer_node(domain, scene_model_folder, f"image:={topic}") as node:
        unconfigured = opened(node)
        assert node.trigger_configure() == SUCCESS
        inactive = opened(node)
        assert len(inactive["publishers"]) > len(unconfigured["publishers"]) and inactive["listeners"]
        for _ in range(2):
            assert node.trigger_activate() == FAILURE
            assert f"'image' is remapped to {topic}" in node.fault
            assert opened(node) == inactive
            managed = [publisher for publisher in node.publishers if hasattr(publisher, "is_activated")]
            assert managed and not any(publisher.is_activated for publisher in managed)
        assert node.trigger_cleanup() == SUCCESS
        assert opened(node) == unconfigured


def test_each_transition_closes_what_its_counterpart_opened(scene_model_folder: Path, domain: int) -> None:
    with localizer_node(domain, scene_model_folder, publish_initialpose="once") as node:
        seen = [opened(node)]
        for _ in range(3):
            for step in (node.trigger_configure, node.trigger_activate, node.trigger_deactivate, node.trigger_cleanup):
                assert step() == SUCCESS, node.fault
                seen.append(opened(node))
        unconfigured, inactive, active = seen[:3]
        assert seen == [unconfigured, *3 * [inactive, active, inactive, unconfigured]]
        assert (unconfigured["workers"], inactive["workers"], active["workers"]) == ([], [], ["localizer_worker"])
        assert {"/image", "/camera_info"} <= set(active["subscriptions"]) - set(inactive["subscriptions"])


@pytest.mark.parametrize("steps", [[], ["configure"], ["configure", "activate"]])
def test_shutdown_closes_everything_from_any_state(scene_model_folder: Path, domain: int, steps: list[str]) -> None:
    with localizer_node(domain, scene_model_folder) as node:
        before = opened(node)
        for step in steps:
            assert getattr(node, f"trigger_{step}")() == SUCCESS
        assert node.trigger_shutdown() == SUCCESS
        assert opened(node) == before

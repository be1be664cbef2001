"""The services of a running node, and parameters that change while it runs: all of a set or none."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticStatus
from lifecycle_msgs.msg import Transition
from live import image_message, wait_until
from rcl_interfaces.srv import GetParameters
from std_srvs.srv import SetBool, Trigger
from watched import Watched, watched

from transposenet_ros.ros_commands import change_state

STAMPS = itertools.count(1000)


@pytest.fixture(scope="module")
def node(scene_model_folder: Path) -> Iterator[Watched]:
    with watched(scene_model_folder) as running:
        yield running


@pytest.fixture(scope="module")
def camera(node: Watched) -> Any:
    return node.camera()


def enable(node: Watched, enabled: bool) -> tuple[bool, str]:
    response = node.client.call(SetBool, "/localizer/set_enabled", SetBool.Request(data=enabled))
    return response.success, response.message


def trigger(node: Watched, service: str) -> tuple[bool, str]:
    response = node.client.call(Trigger, f"/localizer/{service}", Trigger.Request())
    return response.success, response.message


def send(camera: Any, image_HW3: np.ndarray, seconds: float | None = None) -> float:
    seconds = next(STAMPS) if seconds is None else seconds
    camera.publish(image_message(image_HW3, seconds))
    return seconds


def values(node: Watched, *names: str) -> list[Any]:
    request = GetParameters.Request(names=list(names))
    found = node.client.call(GetParameters, "/localizer/get_parameters", request).values
    return [value.double_value or value.string_value for value in found]


def test_a_disabled_node_counts_its_frames_and_publishes_nothing(
    node: Watched, camera: Any, image_HW3: np.ndarray
) -> None:
    node.pose_at(send(camera, image_HW3))
    assert enable(node, False) == (True, "frames are dropped as 'disabled'")
    before, published = node.count("disabled"), len(node.poses)
    for k in range(3):
        send(camera, image_HW3)
        node.wait_for_count("disabled", before + k + 1)
    assert node.wait_for_level(DiagnosticStatus.OK, "disabled") == "disabled by ~/set_enabled"
    assert len(node.poses) == published
    assert enable(node, True) == (True, "frames are localized")
    node.pose_at(send(camera, image_HW3))
    assert node.count("disabled") == before + 3


def test_relocalize_takes_one_frame_of_a_disabled_node(node: Watched, camera: Any, image_HW3: np.ndarray) -> None:
    assert enable(node, False)[0]
    before, published = node.count("disabled"), len(node.poses)
    assert trigger(node, "relocalize") == (True, "the next frame is localized")
    send(camera, image_HW3, seconds=0.0)
    node.pose_at(send(camera, image_HW3))  # the frame without a stamp was no good one
    send(camera, image_HW3)
    node.wait_for_count("disabled", before + 1)
    assert len(node.poses) == published + 1
    trigger(node, "relocalize")
    for k in range(2):  # nor are these
        bad, broken = node.count("bad_step"), image_message(image_HW3, next(STAMPS))
        broken.step = 0
        camera.publish(broken)
        node.wait_for_count("bad_step", bad + 1)
    node.pose_at(send(camera, image_HW3))
    published += 1
    send(camera, image_HW3)
    node.wait_for_count("disabled", before + 2)
    before += 1
    trigger(node, "relocalize")
    enable(node, False)  # takes the wish back
    send(camera, image_HW3)
    node.wait_for_count("disabled", before + 2)
    assert len(node.poses) == published + 1
    assert enable(node, True)[0]


def test_reset_lets_stamps_begin_anew(node: Watched, camera: Any, image_HW3: np.ndarray) -> None:
    stamp = send(camera, image_HW3)
    node.pose_at(stamp)
    before, published = node.count("duplicate_stamp"), len(node.poses)
    send(camera, image_HW3, stamp)
    node.wait_for_count("duplicate_stamp", before + 1)
    assert len(node.poses) == published
    assert trigger(node, "reset")[0]
    send(camera, image_HW3, stamp)
    wait_until(lambda: len(node.poses) == published + 1, "the same stamp again")


def test_a_set_of_parameters_is_taken_whole_or_not_at_all(node: Watched, camera: Any, image_HW3: np.ndarray) -> None:
    names = ("stale_after", "diagnostics_period", "tf_timeout")
    before = values(node, *names)
    bad_ones: list[tuple[dict[str, object], str]] = [
        ({"tf_timeout": 99.0}, "'tf_timeout' is 99.0; allowed is double from 0 to 5"),
        ({"tf_timeout": "long"}, "'tf_timeout' is the str 'long'; allowed is double from 0 to 5"),
        ({"device": "cpu"}, "'device' can be changed only while the node is unconfigured"),
        ({"autostart": False}, "autostart"),
        ({"model": "/nowhere"}, "'models_dir'"),
    ]
    for bad, words in bad_ones:
        taken, reason = node.client.set_parameters(stale_after=0.3, diagnostics_period=0.1, **bad)
        assert not taken and words in reason, (bad, reason)
        assert values(node, *names) == before
    assert node.client.set_parameters(stale_after=0.3, diagnostics_period=0.1, tf_timeout=0.2) == (True, "")
    assert values(node, *names) == [0.3, 0.1, 0.2]
    node.pose_at(send(camera, image_HW3))
    assert "no frame for 0." in node.wait_for_level(DiagnosticStatus.STALE, timeout=3.0), "the new stale_after"
    assert node.client.set_parameters(stale_after=before[0], diagnostics_period=before[1]) == (True, "")


def test_services_of_an_inactive_node_return_the_command_that_is_needed(
    node: Watched, camera: Any, image_HW3: np.ndarray
) -> None:
    assert enable(node, False)[0]
    assert node.client.change_state(Transition.TRANSITION_DEACTIVATE)
    responses = [enable(node, True), enable(node, False), trigger(node, "relocalize"), trigger(node, "reset")]
    assert responses == [(False, f"the node is inactive; {change_state('/localizer', 'activate')}")] * 4
    assert node.client.change_state(Transition.TRANSITION_CLEANUP)
    assert trigger(node, "reset") == (False, f"the node is unconfigured; {change_state('/localizer', 'configure')}")
    assert node.client.change_state(Transition.TRANSITION_CONFIGURE)
    assert node.client.change_state(Transition.TRANSITION_ACTIVATE)
    node.client.wait_for_listener("/image")
    wait_until(lambda: camera.get_subscription_count() == 1, "a match")
    node.pose_at(send(camera, image_HW3))  # an activated node is enabled
    assert node.process.alive and "Traceback" not in node.process.log

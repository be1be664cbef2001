"""A running localizer that publishes initial poses for AMCL and similar: when, to whom, and in what state."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from geometry_msgs.msg import PoseWithCovarianceStamped
from live import Client, image_message, localizer_process, seconds_of, wait_until
from rcl_interfaces.msg import ParameterType
from rcl_interfaces.srv import GetParameters
from robot import trip
from std_srvs.srv import SetBool, Trigger
from watched import Watched, watched

from transposenet_ros.replay.processes import free_domain


@pytest.fixture(scope="module")
def node(scene_model_folder: Path) -> Iterator[Watched]:
    with watched(scene_model_folder, tf_mode="none") as running:
        yield running


def test_n38_what_goes_to_initialpose_passes_the_checks_of_nav2(node: Watched, images: list[np.ndarray]) -> None:
    with trip(node, publish_initialpose="once") as on:
        client = node.client
        on.robot.mount()
        wait_until(lambda: on.localize_image(images[0]) and on.base_poses, "a base pose, while nobody listens")
        sent = client.collect(PoseWithCovarianceStamped, "/initialpose")
        wait_until(lambda: on.localize_image(images[1]) and sent, "the initial pose for a late-joining subscriber")
        for image_HW3 in images:
            on.localize_image(image_HW3)
        assert len(sent) == 1
        _check_as_nav2(sent[0])
        assert sent[0].pose.pose == on.base_pose_at(seconds_of(sent[0])).pose.pose
    with trip(node, publish_initialpose="on_relocalize") as on:
        on.robot.mount()
        for image_HW3 in images:
            on.base_pose_at(on.localize_image(image_HW3))
        assert len(sent) == 1, "nobody has asked"
        assert client.call(Trigger, "/localizer/relocalize", Trigger.Request()).success
        # 70 degrees apart in 20 ms: the third agrees with none of those before it.
        stamps = time.time() + 0.02 * np.arange(5)
        for stamp, image_HW3 in zip(stamps, [images[0], images[0], *3 * [images[2]]], strict=True):
            on.base_pose_at(on.localize_image(image_HW3, float(stamp)))
        wait_until(lambda: len(sent) == 2, "the initial pose asked for")
        assert abs(seconds_of(sent[-1]) - stamps[-1]) < 1e-6, "of the third frame that agrees"
        _check_as_nav2(sent[-1])
        assert "/initialpose waits for frames that agree with each other" in node.process.log
        # A disabled node takes as many frames as that needs, and then no more.
        assert client.call(SetBool, "/localizer/set_enabled", SetBool.Request(data=False)).success
        assert client.call(Trigger, "/localizer/relocalize", Trigger.Request()).success
        disabled = node.count("disabled")
        for _ in range(3):
            last = on.localize_image(images[1])
        wait_until(lambda: len(sent) == 3, "the initial pose asked for")
        assert abs(seconds_of(sent[-1]) - last) < 1e-6
        on.camera.publish(image_message(images[1], time.time()))
        node.wait_for_count("disabled", disabled + 1)
    for off in ("off", False):  # what YAML makes of a bare off
        with trip(node, publish_initialpose="once"):
            wait_until(lambda: client.node.get_publishers_info_by_topic("/initialpose"), "/initialpose")
        with trip(node, publish_initialpose=off):
            wait_until(lambda: not client.node.get_publishers_info_by_topic("/initialpose"), "no /initialpose")


def test_n30_a_bare_off_of_a_parameter_file_is_the_word(scene_model_folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "localizer.yaml"
    file.write_text("/**:\n  localizer:\n    ros__parameters:\n      publish_initialpose: off\n      autostart: off\n")
    with free_domain() as domain:
        arguments = ("--params-file", str(file))
        with localizer_process(domain, scene_model_folder, *arguments) as process, Client(domain) as client:
            client.wait_for_state("unconfigured")  # the other one is a boolean, and was read as one
            request = GetParameters.Request(names=["publish_initialpose"])
            (value,) = client.call(GetParameters, "/localizer/get_parameters", request).values
            assert (value.type, value.string_value) == (ParameterType.PARAMETER_STRING, "off"), process.log
            taken, reason = client.set_parameters(publish_initialpose=True)
            assert not taken and "is the bool True; allowed is off, once, on_relocalize" in reason


def _check_as_nav2(message: PoseWithCovarianceStamped) -> None:
    """What nav2_util's validateMsg requires of a pose, and AMCL of its frame."""
    position, q = message.pose.pose.position, message.pose.pose.orientation
    assert message.header.frame_id == "office_map" and seconds_of(message) > 0
    assert np.isfinite([position.x, position.y, position.z]).all()
    assert abs(np.dot([q.x, q.y, q.z, q.w], [q.x, q.y, q.z, q.w]) - 1) < 1e-4
    covariance_66 = np.array(message.pose.covariance).reshape(6, 6)
    assert np.isfinite(covariance_66).all() and (covariance_66 >= 0).all() and (np.diag(covariance_66) > 0).all()

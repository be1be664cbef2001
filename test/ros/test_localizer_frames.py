"""A running localizer and the robot's frames: what it publishes of base, odom and camera, and what without them."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticStatus
from geometry_msgs.msg import PoseWithCovarianceStamped, TransformStamped
from live import wait_until
from patient_localizer import LISTEN_SECONDS
from robot import T_CAMERA_BASE_44, trip
from scipy.spatial.transform import Rotation
from watched import Watched, watched

from transposenet_core.localizer import Localizer
from transposenet_ros.output.conversions import pose_from_message
from transposenet_ros.transforms.conversion import transform_from_message

PATIENT = Path(__file__).with_name("patient_localizer.py")


@pytest.fixture(scope="module")
def node(scene_model_folder: Path) -> Iterator[Watched]:
    with watched(scene_model_folder, tf_timeout=0.05) as running:
        yield running


@pytest.mark.parametrize(("mode", "child"), [("map_to_base", "base_link"), ("map_to_odom", "odom")])
def test_what_follows_for_the_base_is_composed_right_and_stamped_right(
    node: Watched, localizer: Localizer, images: list[np.ndarray], mode: str, child: str
) -> None:
    with trip(node, tf_mode=mode, transform_tolerance=0.25) as on:
        on.robot.mount()
        for image_HW3 in images:
            now = time.time()
            if mode == "map_to_odom":
                on.robot.drive(now - 0.05, now + 0.05)
            on.localize_image(image_HW3, now)
            np.testing.assert_allclose(on.camera_44(now), localizer.localize(image_HW3).pose.matrix_44, atol=1e-4)
            T_map_base_44 = on.camera_44(now) @ T_CAMERA_BASE_44
            expected_44, stamp = T_map_base_44, now
            if mode == "map_to_odom":
                expected_44 = T_map_base_44 @ np.linalg.inv(on.robot.T_odom_base_44(now))
                stamp = now + 0.25
            found_44 = transform_from_message(on.transform_at(child, stamp).transform).matrix_44
            np.testing.assert_allclose(found_44, expected_44, atol=1e-6)
            base = on.base_pose_at(now)
            assert base.header.frame_id == "office_map"
            np.testing.assert_allclose(pose_from_message(base.pose.pose).matrix_44, T_map_base_44, atol=1e-6)
        assert len(on.transforms(child)) == len(images), "each is published once"
        node.wait_for_level(DiagnosticStatus.OK, "localizing")
        assert int(node.values()["tf_withheld"]) == 0


def test_the_camera_alone_needs_nothing_of_the_robot(node: Watched, images: list[np.ndarray]) -> None:
    with trip(node, tf_mode="map_to_camera") as on:
        for image_HW3 in images:
            now = on.localize_image(image_HW3)
            found_44 = transform_from_message(on.transform_at("camera", now).transform).matrix_44
            np.testing.assert_allclose(found_44, on.camera_44(now), atol=1e-6)


def test_n19_the_base_pose_waits_for_the_mount_and_the_camera_pose_does_not(
    node: Watched, localizer: Localizer, images: list[np.ndarray]
) -> None:
    with trip(node, tf_mode="none") as on:
        for image_HW3 in images:
            on.localize_image(image_HW3)
        text = node.wait_for_level(DiagnosticStatus.WARN, "localizing, but tf_unavailable")
        assert "no transform camera<-base_link" in text and "no transform has named the frame 'camera' yet" in text
        assert int(node.values()["tf_withheld"]) == len(images) and not on.base_poses
        on.robot.mount()
        appeared = time.monotonic()
        while not on.base_poses:
            now = on.localize_image(images[0])
            assert time.monotonic() - appeared < 1
        node.wait_for_level(DiagnosticStatus.OK, "localizing")
        base = on.base_pose_at(now)
        _check_covariance(base, on.camera_44(now), localizer.scene_model.scenes[0].held_out_error.covariance_66())
        assert not on.transforms("base_link") and not on.transforms("camera")


def test_n18_another_camera_frame_is_another_mount(node: Watched, images: list[np.ndarray]) -> None:
    with trip(node, tf_mode="map_to_base") as on:
        on.robot.mount()
        wait_until(lambda: on.localize_image(images[0]) and on.base_poses, "a base pose")
        on.base_pose_at(on.localize_image(images[0]))  # and with it those of all frames before
        known = len(on.base_poses)
        on.localize_image(images[1], frame_id="left")
        text = node.wait_for_level(DiagnosticStatus.WARN, "localizing, but tf_unavailable")
        assert "no transform left<-base_link" in text and len(on.base_poses) == known
        on.base_pose_at(on.localize_image(images[2]))


def _check_covariance(base: PoseWithCovarianceStamped, camera_44: np.ndarray, camera_66: np.ndarray) -> None:
    """Sound, and as small rotations and translations of the camera in the map move the base."""
    covariance_66 = np.array(base.pose.covariance).reshape(6, 6)
    np.testing.assert_array_equal(covariance_66, covariance_66.T)
    assert np.linalg.eigvalsh(covariance_66).min() > 0
    lever, step = camera_44[:3, :3] @ T_CAMERA_BASE_44[:3, 3], 1e-6
    J_66 = np.eye(6)
    J_66[:3, 3:] = np.stack([(Rotation.from_rotvec(step * axis).apply(lever) - lever) / step for axis in np.eye(3)], 1)
    np.testing.assert_allclose(covariance_66, J_66 @ camera_66 @ J_66.T, atol=1e-6)
    assert abs(covariance_66[:3, 3:]).max() > 1e-4, "the lever shows"


def test_n20_without_fresh_odometry_no_map_to_odom_is_published_and_then_it_is_again(
    node: Watched, images: list[np.ndarray]
) -> None:
    with trip(node, tf_mode="map_to_odom", transform_tolerance=0.0) as on:
        on.robot.mount()
        now = time.time()
        on.robot.drive(now - 0.05, now + 0.05)
        on.localize_image(images[0], now)
        on.transform_at("odom", now)
        time.sleep(0.1)
        for lag in (0.0, 2.0):  # it stops; it goes on, two seconds behind
            for image_HW3 in images:
                now = time.time()
                if lag:
                    on.robot.drive(now - lag)
                on.localize_image(image_HW3, now)
                on.base_pose_at(now)
            text = node.wait_for_level(DiagnosticStatus.WARN, "localizing, but tf_unavailable")
            assert "no transform odom<-base_link at " in text
        # The last frame's base pose is out before its time for the odometry is up.
        wait_until(lambda: int(node.values()["tf_withheld"]) == 2 * len(images), "the last frame's end")
        assert len(on.transforms("odom")) == 1
        assert "tf_unavailable" in node.values()["tf_trouble"] and "tf_unavailable" in node.process.log
        now = time.time()
        on.robot.drive(now - 0.05, now + 0.05)
        on.localize_image(images[0], now)
        on.transform_at("odom", now)
        node.wait_for_level(DiagnosticStatus.OK, "localizing")


def test_n20_odometry_that_is_only_late_is_waited_for_and_the_poses_do_not_wait(
    node: Watched, images: list[np.ndarray]
) -> None:
    with trip(node, tf_mode="map_to_odom", transform_tolerance=0.0) as on:
        on.robot.mount()
        assert node.client.set_parameters(tf_timeout=5.0) == (True, "")
        now = time.time()
        on.robot.drive(now - 0.1, now - 0.05)
        on.localize_image(images[0], now)
        on.base_pose_at(now)
        assert not on.transforms("odom")
        on.robot.drive(now + 0.05)
        on.transform_at("odom", now)
        assert node.client.set_parameters(tf_timeout=0.05) == (True, "")


def test_n20_odometry_is_looked_up_at_the_time_that_the_offset_of_the_scene_gives(
    node: Watched, scene_model_folder: Path, images: list[np.ndarray], tmp_path: Path
) -> None:
    """The camera's stamps are 0.4 s ahead of the robot's, which says nothing of the time in between."""
    shutil.copytree(scene_model_folder, tmp_path / "office")
    description = json.loads((tmp_path / "office" / "scene.json").read_text())
    description["scenes"][0]["time_offset_s"] = -0.4
    (tmp_path / "office" / "scene.json").write_text(json.dumps(description))
    model, parameters = str(tmp_path / "office"), {"tf_mode": "map_to_odom", "transform_tolerance": 0.0}
    sent = node.client.collect(PoseWithCovarianceStamped, "/initialpose")
    with trip(node, model=model, publish_initialpose="once", **parameters) as on:
        on.robot.mount()
        wait_until(lambda: on.node.client.node.count_publishers("/initialpose"), "/initialpose")
        begin = time.time()
        on.robot.drive(begin - 0.45, begin - 0.3)
        # So close in time that the robot's motion is far below the estimates' uncertainty, however slow the machine is.
        for now in (begin, begin + 0.02, begin + 0.04):
            on.localize_image(images[0], now)
            found_44 = transform_from_message(on.transform_at("odom", now).transform).matrix_44
            T_odom_base_44 = on.robot.T_odom_base_44(now - 0.4)
            expected_44 = on.camera_44(now) @ T_CAMERA_BASE_44 @ np.linalg.inv(T_odom_base_44)
            np.testing.assert_allclose(found_44, expected_44, atol=1e-6)
        wait_until(lambda: sent, "/initialpose, which odometry has confirmed")
    with trip(node, model=str(scene_model_folder), publish_initialpose="off"):
        pass


def test_n20_two_late_transforms_cost_a_frame_one_timeout(node: Watched, images: list[np.ndarray]) -> None:
    with trip(node, tf_mode="map_to_odom") as on:
        assert node.client.set_parameters(tf_timeout=2.0) == (True, "")
        now = time.time()
        on.robot.rotate_camera(now - 0.2, now - 0.1)
        on.robot.drive(now - 0.2, now - 0.1)
        withheld = int(node.values()["tf_withheld"])
        on.localize_image(images[0], now)
        begun = time.monotonic()
        time.sleep(1.5)
        on.robot.rotate_camera(now + 0.1)
        on.base_pose_at(now)
        wait_until(lambda: int(node.values()["tf_withheld"]) == withheld + 1, "the end of waiting for odometry")
        assert 1.5 < time.monotonic() - begun < 3.2, "with a time-out for each it would be 3.5 s"
        assert node.client.set_parameters(tf_timeout=0.05) == (True, "")


def test_transforms_that_came_after_a_reset_serve_the_first_frame_after_it(
    node: Watched, images: list[np.ndarray]
) -> None:
    with trip(node, tf_mode="map_to_odom", transform_tolerance=0.0) as on:
        on.robot.mount()
        now = time.time()
        on.robot.drive(now - 0.05, now + 0.05)
        on.localize_image(images[0], now)
        on.transform_at("odom", now)
        withheld = node.values()["tf_withheld"]
        on.reset()
        now = time.time() + 0.1
        on.robot.drive(now - 0.05, now + 0.05)
        time.sleep(0.3)  # the node has heard it
        on.localize_image(images[1], now)
        on.transform_at("odom", now)
        on.robot.drive(now + 0.25, now + 0.35)
        time.sleep(0.3)
        on.localize_image(images[2], now + 0.3, frame_id="base_link")  # another camera, and the same robot
        on.transform_at("odom", now + 0.3)
        assert node.client.set_parameters(tf_timeout=5.0) == (True, "")
        on.reset()
        now = time.time() + 0.5
        on.localize_image(images[3], now)  # before the odometry's first message, which is as late as any
        on.robot.drive(now - 0.05)
        time.sleep(0.1)
        on.robot.drive(now + 0.05)
        on.transform_at("odom", now)
        assert node.client.set_parameters(tf_timeout=0.05) == (True, "")
        assert node.values()["tf_withheld"] == withheld


def test_what_moved_before_a_reset_is_forgotten(node: Watched, images: list[np.ndarray]) -> None:
    with trip(node, tf_mode="map_to_odom", transform_tolerance=0.0) as on:
        on.robot.mount()
        now = time.time()
        on.robot.drive(now - 0.05, now + 5.0)
        on.localize_image(images[0], now)
        on.transform_at("odom", now)
        on.reset()
        on.base_pose_at(on.localize_image(images[1], now + 0.2))
        wait_until(lambda: "tf_unavailable" in node.values()["tf_trouble"], "trouble")
        assert len(on.transforms("odom")) == 1


def test_n21_a_camera_that_hangs_on_the_robot_is_left_there(node: Watched, images: list[np.ndarray]) -> None:
    """The default mode on an ordinary robot, whose description comes after the node's first transform."""
    with trip(node, tf_mode="map_to_camera") as on:
        on.transform_at("camera", on.localize_image(images[0]))
        on.robot.mount()
        wait_until(lambda: on.localize_image(images[0]) and on.base_poses, "a base pose")
        text = node.wait_for_level(DiagnosticStatus.ERROR, "'camera' already has a parent")
        assert "'base_link' on /tf_static" in text
        silent = len(on.transforms("camera"))
        on.reset()
        for image_HW3 in images:
            now = on.localize_image(image_HW3)
            found_44 = pose_from_message(on.base_pose_at(now).pose.pose).matrix_44
            np.testing.assert_allclose(found_44, on.camera_44(now) @ T_CAMERA_BASE_44, atol=1e-6)
        assert len(on.transforms("camera")) == silent, "static transforms outlive a reset, and so does their claim"
        node.wait_for_level(DiagnosticStatus.ERROR, "'camera' already has a parent")


@pytest.mark.parametrize("parent", ["office_map", "world"])
def test_n21_where_another_node_gives_odom_a_parent_this_one_stops_until_reset(
    node: Watched, images: list[np.ndarray], parent: str
) -> None:
    with trip(node, tf_mode="map_to_odom", transform_tolerance=0.0) as on:

        def localize_image(image_HW3: np.ndarray, other: bool = False) -> float:
            now = time.time()
            on.robot.drive(now - 0.05, now + 0.05)
            if other:
                on.robot.send_transform(now, parent, "odom")
            return on.localize_image(image_HW3, now)

        def ours() -> list[TransformStamped]:
            return [t for t in on.transforms("odom") if t.transform.translation.x != 99.0]

        on.robot.mount()
        wait_until(lambda: localize_image(images[0]) and ours(), "a transform")
        for image_HW3 in images:
            localize_image(image_HW3, other=True)
        text = node.wait_for_level(DiagnosticStatus.ERROR, "'odom' already has a parent")
        assert f"'{parent}' on /tf" in text and "~/reset" in text
        errors = [line for line in node.process.log.splitlines() if "[ERROR]" in line and text in line]
        assert len(errors) == 1
        silent = len(ours())
        for image_HW3 in images:
            on.base_pose_at(localize_image(image_HW3))
        assert len(ours()) == silent, "off, even though the other has stopped"
        on.reset()
        begin = time.monotonic()
        wait_until(lambda: localize_image(images[0]) and len(ours()) > silent, "a transform again")
        assert time.monotonic() - begin < 1
        node.wait_for_level(DiagnosticStatus.OK, "localizing")
        localize_image(images[1], other=True)
        localize_image(images[2])
        node.wait_for_level(DiagnosticStatus.ERROR, "'odom' already has a parent")
        on.reset()


@pytest.mark.long
def test_n21_after_a_reset_the_node_listens_for_the_other_before_it_publishes(
    scene_model_folder: Path, images: list[np.ndarray]
) -> None:
    with (
        watched(scene_model_folder, program=PATIENT, tf_timeout=0.05) as node,
        trip(node, tf_mode="map_to_odom", transform_tolerance=0.0) as on,
    ):
        on.robot.mount()

        def localize_image(image_HW3: np.ndarray, other: bool = False) -> float:
            now = time.time()
            on.robot.drive(now - 0.05, now + 0.05)
            if other:
                on.robot.send_transform(now, "office_map", "odom")
            on.base_pose_at(on.localize_image(image_HW3, now))
            return now

        def ours() -> int:
            return sum(t.transform.translation.x != 99.0 for t in on.transforms("odom"))

        wait_until(lambda: localize_image(images[0]) and ours(), "a transform")
        wait_until(
            lambda: localize_image(images[0], other=True) and "'odom' already has a parent (" in node.process.log,
            "the conflict",
        )
        silent, begun = ours(), time.monotonic()
        on.reset()
        for image_HW3 in images:  # before the other's next message
            localize_image(image_HW3)
        time.sleep(0.1)
        assert time.monotonic() - begun < LISTEN_SECONDS, "the machine is too slow for this test"
        assert ours() == silent
        wait_until(lambda: localize_image(images[2]) and ours() > silent, "a transform, as the other stays silent")
        assert time.monotonic() - begun > LISTEN_SECONDS

"""Several cameras in one process: each its own images and topics, one network, and one place of the robot."""

from __future__ import annotations

import gc
import os
import signal
import time
import weakref
from pathlib import Path

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import PoseStamped
from live import ROOT, Client, Process, image_message, wait_until
from sensor_msgs.msg import Image
from tf2_msgs.msg import TFMessage

from transposenet_core.errors import UserError
from transposenet_core.localizer import Localizer
from transposenet_ros.cameras import camera_names, topics_of
from transposenet_ros.guarded_localizer import GuardedLocalizer
from transposenet_ros.output.conversions import pose_from_message

NODE = "transposenet_ros.localizer_node"


def arguments(model: Path, *ros_arguments: str) -> list[str]:
    same = [
        "-p",
        f"model:={model}",
        "-p",
        "torch_threads:=1",
        "-p",
        "diagnostics_period:=0.2",
        "-p",
        "no_frames_timeout:=0.5",
    ]
    file = ["--params-file", str(ROOT / "config" / "localizer.yaml")]  # is for every node, whatever its name
    return ["--cameras", "front", "rear", "--ros-args", *file, *same, *ros_arguments]


def test_each_camera_has_its_images_and_topics_and_its_parameters(
    scene_model_folder: Path, localizer: Localizer, image_HW3: np.ndarray, domain: int
) -> None:
    """In a namespace and by another name, as a launch file gives them; `rear` is remapped and publishes no TF."""
    rules = [
        "-r",
        "__ns:=/robot",
        "-r",
        "__node:=where",
        "-r",
        "rear:image:=/back/image_raw",
        "-p",
        "rear:tf_mode:=none",
    ]
    nodes = {"front": "/robot/where/front", "rear": "/robot/where/rear"}
    topics = {"front": "/robot/front/image", "rear": "/back/image_raw"}
    images = {"front": image_HW3, "rear": np.roll(image_HW3, 20, axis=1)}
    with Process(NODE, *arguments(scene_model_folder, *rules), domain=domain) as process, Client(domain) as client:
        for node in nodes.values():
            client.wait_for_state("active", node)
        poses = {name: client.collect(PoseStamped, f"{node}/pose") for name, node in nodes.items()}
        transforms, diagnostics = client.collect(TFMessage, "/tf"), client.collect(DiagnosticArray, "/diagnostics")
        cameras = {name: client.image_publisher(Image, topic) for name, topic in topics.items()}
        for name, camera in cameras.items():
            wait_until(lambda name=name: client.node.get_publishers_info_by_topic(f"{nodes[name]}/pose"), "its poses")
            message = image_message(images[name], time.time(), frame_id=f"{name}_optical")

            def localized(name: str = name, camera: object = camera, message: Image = message) -> bool:
                camera.publish(message)  # type: ignore[attr-defined]
                return bool(poses[name])

            wait_until(localized, f"a pose of {name}")
            live = pose_from_message(poses[name][0].pose)
            np.testing.assert_allclose(live.position, localizer.localize(images[name]).pose.position, atol=1e-6)
        assert len({pose[0].pose.position.x for pose in poses.values()}) == 2
        wait_until(lambda: transforms, "a transform")
        assert {t.child_frame_id for m in transforms for t in m.transforms} == {"front_optical"}
        names = {f"{node}: localization" for node in nodes.values()}
        wait_until(lambda: names <= {status.name for m in diagnostics for status in m.status}, "both in /diagnostics")
        # One is stopped, the other goes on.
        assert client.change_state(4, nodes["front"]) and client.state(nodes["rear"]) == "active"
        process.signal(signal.SIGINT)
        assert process.wait(5) == 0


def test_n26_two_cameras_without_listeners_rest_and_report_where_images_are(
    scene_model_folder: Path, image_HW3: np.ndarray, domain: int
) -> None:
    """Cameras subscribe to each other's /tf, which does not count; what they would draw themselves is no camera."""
    with Client(domain) as client:
        client.node.create_publisher(Image, "/elsewhere/image_raw", 1)
        with Process(NODE, *arguments(scene_model_folder), domain=domain) as process:
            process.wait_for_log(
                "it has no publisher; images are on /elsewhere/image_raw (remap rear:image:=/elsewhere"
            )
            process.wait_for_log("remap front:image")  # either camera may be the first to report
            assert "attention" not in process.log
            diagnostics = client.collect(DiagnosticArray, "/diagnostics")
            camera = client.image_publisher(Image, "/front/image")

            def names() -> str:
                camera.publish(image_message(image_HW3, time.time()))
                time.sleep(0.05)
                named = [s for m in diagnostics for s in m.status if s.name.startswith("/localizer/front:")]
                return named[-1].message if named else ""

            wait_until(lambda: names() == "idle: nobody listens to any output", "the node to rest")
            values = {pair.key: pair.value for pair in diagnostics[-1].status[0].values}
            assert values["localized"] == "0"


@pytest.mark.parametrize(
    ("rules", "sentence"),
    [
        (["-p", "publish_initialpose:=once"], "but only one may publish where the robot starts; set it for that one"),
        (["-p", "rere:tf_mode:=none"], "-p rere:tf_mode:=none: 'rere' is not one of the cameras front, rear"),
        (["-r", "rere:image:=/x"], "-r rere:image:=/x: 'rere' is not one of the cameras"),
        (["-p", "tf_mode:=map_to_odom"], "for the cameras front and rear, but only one may publish where the robot is"),
        (
            ["-r", "image:=/camera"],
            "front and rear all subscribe to /camera; remap each one with -r NAME:image:=TOPIC",
        ),
        (["-p", "rear:tf_mod:=none"], "did you mean 'tf_mode'"),
    ],
)
def test_what_two_cameras_cannot_share_is_one_sentence(
    scene_model_folder: Path, domain: int, rules: list[str], sentence: str
) -> None:
    with Process(NODE, *arguments(scene_model_folder, *rules), domain=domain) as process:
        assert process.wait(20) == 2
        assert sentence in process.log and process.log.count("error: ") == 1 and "Traceback" not in process.log


def test_names_are_those_that_ros_takes() -> None:
    assert camera_names(["--ros-args", "-r", "__ns:=/robot"]) == []
    assert camera_names(["--cameras", "front", "rear", "--ros-args", "-p", "model:=x"]) == ["front", "rear"]
    assert camera_names(["--cameras", "front", "--cameras", "rear"]) == ["front", "rear"]
    for names, found in ((["front", "front"], "'front' is given 2 times"), (["2nd"], "'2nd' is not a ROS name")):
        with pytest.raises(UserError, match=f"--cameras: {found}"):
            camera_names(["--cameras", *names])


def test_the_launch_argument_names_cameras_and_their_topics() -> None:
    assert topics_of("front=/front/image_raw  rear=/rear/image") == {"front": "/front/image_raw", "rear": "/rear/image"}
    assert topics_of(" ") == {}
    for text in ("front", "front=", "=/a", "2nd=/a", "front=/a front=/b"):
        with pytest.raises(UserError, match=r"^cameras:='.*' .*; give NAME=TOPIC for each, with blanks between"):
            topics_of(text)


def test_nodes_of_one_process_share_a_network_while_its_files_stay(scene_model_folder: Path, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    for file in scene_model_folder.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    names: list[str] = []
    first, second = (GuardedLocalizer(folder, "cpu", "cpu", names.append) for _ in range(2))
    assert first._localizer is second._localizer
    os.utime(folder / "scene.json", ns=(1, 1))  # written anew
    third = GuardedLocalizer(folder, "cpu", "cpu", names.append)
    assert third._localizer is not first._localizer
    its = weakref.ref(third._localizer)
    del third
    gc.collect()
    assert its() is None  # it is no longer used

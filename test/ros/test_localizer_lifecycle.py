"""The managed life cycle through its services, bad scene models, and the end by signals."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from geometry_msgs.msg import PoseStamped
from lifecycle_msgs.msg import Transition
from live import Client, Process, image_message, localizer_process, quality, wait_until
from nav_msgs.msg import Path as PathMessage
from sensor_msgs.msg import Image
from small_models import small_model
from tf2_msgs.msg import TFMessage
from untrained import one_scene

from transposenet_core.preprocessing import Preprocessing
from transposenet_core.scene_model import SceneModel
from transposenet_ros.replay.processes import free_domain, ros_environment


@dataclass
class Managed:
    process: Process
    client: Client
    diagnostics: list[DiagnosticArray]

    def change(self, name: str) -> bool:
        return self.client.change_state(getattr(Transition, f"TRANSITION_{name.upper()}"))

    def newest(self) -> DiagnosticStatus:
        """Diagnostics that were made after this call."""
        seen = len(self.diagnostics)
        wait_until(lambda: len(self.diagnostics) > seen + 1, "diagnostics")
        return self.diagnostics[-1].status[0]


@pytest.fixture(scope="module")
def managed() -> Iterator[Managed]:
    with (
        free_domain() as domain,
        localizer_process(domain, "''", autostart="false") as process,
        Client(domain) as client,
    ):
        diagnostics = client.collect(DiagnosticArray, "/diagnostics")
        client.wait_for_state("unconfigured")
        yield Managed(process, client, diagnostics)


def test_transitions_that_the_state_does_not_have_are_refused(managed: Managed) -> None:
    """rclpy alone would end the process here."""
    for name in ("activate", "deactivate", "cleanup"):
        assert managed.change(name) is False
    assert managed.client.change_state(77) is False
    assert managed.client.state() == "unconfigured"


def damaged(scene_model_folder: Path, tmp_path: Path, damage: str) -> tuple[str, list[str]]:
    """A path to give as `model`, and words of the sentence that must be returned."""
    folder = tmp_path / "model"
    shutil.copytree(scene_model_folder, folder)
    weights, description = folder / "model.safetensors", folder / "scene.json"
    if damage == "no parameter":
        return "", ["parameter 'model' is empty"]
    if damage == "missing":
        return str(tmp_path / "nowhere"), [str(tmp_path / "nowhere"), "no such folder"]
    if damage == "wrong folder":
        return str(tmp_path), [str(tmp_path), "scene.json and model.safetensors missing"]
    if damage == "truncated weights":
        weights.write_bytes(weights.read_bytes()[:100_000])
        return str(folder), [str(weights), "are there: the file is truncated"]
    if damage == "no JSON":
        description.write_text("{")
        return str(folder), [str(description), "not valid JSON"]
    if damage == "older schema":
        description.write_text(json.dumps({**json.loads(description.read_text()), "schema": 0}))
        return str(folder), [str(description), "schema 0"]
    network, options = small_model("scene_coordinates")
    SceneModel("scene_coordinates", options, Preprocessing(64, (64, 96)), network, one_scene()).save(folder)
    return str(folder), ["ValueError", "images are cut to (64, 96), the network is for (72, 96)"]


@pytest.mark.parametrize(
    "damage",
    [
        *[pytest.param(d, id=f"n29_{d}") for d in ("no parameter", "missing", "wrong folder", "truncated weights")],
        *[pytest.param(d, id=f"n29_{d}") for d in ("no JSON", "older schema")],
        pytest.param("contradiction", id="n32_exception_in_configure"),
    ],
)
def test_n29_n32_a_bad_model_fails_configure_in_one_sentence(
    managed: Managed, scene_model_folder: Path, tmp_path: Path, damage: str
) -> None:
    path, words = damaged(scene_model_folder, tmp_path, damage)
    assert managed.client.set_parameters(model=path) == (True, "")
    assert managed.change("configure") is False
    assert managed.client.state() == "unconfigured"
    status = managed.newest()
    assert status.level == DiagnosticStatus.ERROR and status.message.startswith("configure failed: ")
    lines = [line for line in managed.process.log.splitlines() if "[ERROR]" in line and words[0] in line]
    assert lines, managed.process.log
    for word in words:
        assert word in status.message and word in lines[-1]
    assert "Traceback" not in managed.process.log


def test_n32_an_exception_in_activate_leaves_an_inactive_node_that_publishes_nothing(
    scene_model_folder: Path, domain: int
) -> None:
    """The user took /tf for a topic of images, and one node cannot subscribe to two types on one topic."""
    with (
        localizer_process(domain, scene_model_folder, "-r", "image:=/tf", publish_initialpose="once") as process,
        Client(domain) as client,
    ):
        diagnostics = client.collect(DiagnosticArray, "/diagnostics")
        client.wait_for_state("inactive")
        for attempt in range(2):
            status = wait_until(lambda: diagnostics, "diagnostics")[-1].status[0]
            assert status.level == DiagnosticStatus.ERROR and status.message.startswith("activate failed: ")
            assert "'image' is remapped to /tf, which this node uses itself" in status.message
            assert process.log.count("[ERROR]") == attempt + 1 and "Traceback" not in process.log, process.log
            names = {pair.key: pair.value for pair in status.values}
            assert names["state"] == "inactive"
            diagnostics.clear()
            assert client.change_state(Transition.TRANSITION_ACTIVATE) is False and client.state() == "inactive"
        paths = client.collect(PathMessage, "/localizer/path")
        wait_until(lambda: client.node.get_publishers_info_by_topic("/localizer/path"), "the path's publisher")
        time.sleep(0.5)
        assert not paths, "an inactive node is silent"
        assert client.change_state(Transition.TRANSITION_CLEANUP)
        process.signal(signal.SIGTERM)
        assert process.wait(10) == 0


def test_the_whole_life_cycle_through_its_services(
    managed: Managed, scene_model_folder: Path, image_HW3: np.ndarray
) -> None:
    client = managed.client
    assert client.set_parameters(model=str(scene_model_folder)) == (True, "")
    poses = client.collect(PoseStamped, "/localizer/pose")
    camera = client.node.create_publisher(Image, "/image", 10)
    for life in range(2):
        assert managed.change("configure") and client.state() == "inactive"
        assert managed.newest().level == DiagnosticStatus.WARN, "the fault of the last try is gone"
        assert client.node.get_subscriptions_info_by_topic("/image") == [], "an inactive node costs no bandwidth"
        for rotation in range(2):
            assert managed.change("activate") and client.state() == "active"
            client.wait_for_listener("/image")
            wait_until(lambda: camera.get_subscription_count() == 1, "a match")
            seconds = 100 * life + 10 * rotation + 1
            camera.publish(image_message(image_HW3, seconds))
            wait_until(lambda s=seconds: any(p.header.stamp.sec == s for p in poses), "a pose")
            assert managed.change("deactivate") and client.state() == "inactive"
        count = len(poses)
        camera.publish(image_message(image_HW3, 99))
        wait_until(lambda: client.node.get_subscriptions_info_by_topic("/image") == [], "no listener")
        assert len(poses) == count
        assert managed.change("cleanup") and client.state() == "unconfigured"
        wait_until(lambda: client.node.get_publishers_info_by_topic("/tf") == [], "the transform's publisher to go")


def test_n12_a_network_that_outputs_no_number_publishes_none(
    managed: Managed, scene_model_folder: Path, image_HW3: np.ndarray, tmp_path: Path
) -> None:
    broken = SceneModel.load(scene_model_folder)
    with torch.no_grad():
        broken.network.position_head[-1].bias.fill_(float("nan"))
    broken.save(tmp_path / "broken")
    client = managed.client
    assert client.set_parameters(model=str(tmp_path / "broken")) == (True, "")
    poses = client.collect(PoseStamped, "/localizer/pose")
    transforms = client.collect(TFMessage, "/tf")
    statuses = client.collect(DiagnosticArray, "/localizer/status")
    assert managed.change("configure") and managed.change("activate")
    camera = client.image_publisher(Image, "/image")

    def replied() -> bool:
        camera.publish(image_message(image_HW3, 300 + len(statuses)))
        time.sleep(0.05)
        return len(statuses) > 3

    wait_until(replied, "statuses")
    assert {status.status[0].message for status in statuses} == {"non_finite_output"}
    assert poses == [] and transforms == []
    status = managed.newest()
    assert int({pair.key: pair.value for pair in status.values}["dropped_non_finite_output"]) > 3
    assert managed.change("deactivate") and managed.change("cleanup")
    client.node.destroy_publisher(camera)


@pytest.mark.parametrize(("image_qos", "reliable"), [("sensor_data", False), ("reliable", True)])
def test_n23_a_chosen_reliability_is_kept(
    managed: Managed, scene_model_folder: Path, image_qos: str, reliable: bool
) -> None:
    client = managed.client
    assert client.set_parameters(model=str(scene_model_folder), image_qos=image_qos) == (True, "")
    assert managed.change("configure") and managed.change("activate")
    client.wait_for_listener("/image", reliable)
    camera = client.node.create_publisher(Image, "/image", quality(reliable=not reliable))
    time.sleep(0.5)  # longer than `auto` takes to change its mind
    client.wait_for_listener("/image", reliable)
    client.node.destroy_publisher(camera)
    assert managed.change("deactivate") and managed.change("cleanup")
    assert client.set_parameters(image_qos="auto") == (True, "")


def test_n30_parameters_at_run_time(managed: Managed, scene_model_folder: Path) -> None:
    client = managed.client
    taken, reason = client.set_parameters(tf_mode="everything", device="cpu")
    assert not taken and "'tf_mode'" in reason and "none, map_to_camera" in reason
    for change in ({"torch_threads": -1}, {"diagnostics_period": float("nan")}, {"device": 3}, {"autostart": True}):
        taken, reason = client.set_parameters(**change)
        assert not taken and reason, change
    assert client.set_parameters(model=str(scene_model_folder), tf_mode="none") == (True, "")
    assert managed.change("configure")
    taken, reason = client.set_parameters(device="cpu")
    assert not taken and "unconfigured" in reason
    taken, reason = client.set_parameters(model="/somewhere/else")
    assert not taken and "from below parameter 'models_dir', which is empty" in reason
    assert client.set_parameters(diagnostics_period=0.1) == (True, "")
    assert client.node.get_publishers_info_by_topic("/tf") == []


def test_shutdown_through_the_service_leaves_an_orderly_process(managed: Managed) -> None:
    """Last of this file: there is no way back from finalized."""
    assert managed.change("inactive_shutdown")
    assert managed.client.state() == "finalized"
    assert managed.process.alive
    managed.process.signal(signal.SIGINT)
    assert managed.process.wait(5) == 0


@pytest.mark.parametrize(
    ("ending", "pause"),
    [
        pytest.param("SIGINT", 0.004, marks=pytest.mark.long),
        pytest.param("SIGINT", 0.03, marks=pytest.mark.long),
        ("SIGTERM", 0.01),
    ],
)
def test_n33_a_signal_during_inference_ends_the_node_in_time(
    domain: int, scene_model_folder: Path, image_HW3: np.ndarray, ending: str, pause: float
) -> None:
    """Twice, because launch sends Ctrl-C once more than the terminal."""
    with localizer_process(domain, scene_model_folder) as process, Client(domain) as client:
        poses = client.collect(PoseStamped, "/localizer/pose")
        camera = client.image_publisher(Image, "/image")
        began = time.monotonic()
        while len(poses) < 5 or time.monotonic() < began + 0.2:
            camera.publish(image_message(image_HW3, time.monotonic()))
            time.sleep(0.005)
        for _ in range(2):
            process.signal(getattr(signal, ending))
            time.sleep(pause)
        assert process.wait(2) == 0, process.log
        assert "Traceback" not in process.log and "terminate called" not in process.log


def test_n29_autostart_with_a_missing_model_waits_for_a_better_one(
    domain: int, scene_model_folder: Path, tmp_path: Path
) -> None:
    with localizer_process(domain, tmp_path / "nowhere") as process, Client(domain) as client:
        process.wait_for_log("the node stays unconfigured")
        assert f"{tmp_path / 'nowhere'}: no such folder" in process.log
        assert client.state() == "unconfigured" and process.alive
        assert client.set_parameters(model=str(scene_model_folder)) == (True, "")
        assert client.change_state(Transition.TRANSITION_CONFIGURE)
        assert client.change_state(Transition.TRANSITION_ACTIVATE)
        assert client.state() == "active"


def test_n30_bad_parameters_end_the_start_in_one_sentence(domain: int, tmp_path: Path) -> None:
    file = tmp_path / "localizer.yaml"
    file.write_text("/**:\n  localizer:\n    ros__parameters:\n      device: gpu\n")
    arguments = ["--ros-args", "--params-file", str(file), "-p", "modle:=/x", "-r", "__ns:=/robot"]
    with Process("transposenet_ros.localizer_node", *arguments, domain=domain) as process:
        assert process.wait(20) == 2
        assert process.log.startswith("error: ") and len(process.log.splitlines()) == 1
        for word in ("'device'", "'gpu'", "auto, cpu, cuda", "'modle'", "'model'"):
            assert word in process.log


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--params-file", "/nowhere.yaml"], "/nowhere.yaml"),
        (["-p", "model"], "model"),
        (["-r", "__node:=7bad"], "7bad"),
        (["-p", "use_sim_time:=maybe"], "use_sim_time"),
    ],
)
def test_n30_wrong_ros_arguments_are_one_sentence(domain: int, arguments: list[str], words: str) -> None:
    command = [sys.executable, "-m", "transposenet_ros.localizer_node", "--ros-args", *arguments]
    done = subprocess.run(command, env=ros_environment(domain), capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert words in done.stderr and "error: " in done.stderr and "Traceback" not in done.stderr

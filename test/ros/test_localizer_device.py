"""No CUDA, and a GPU that runs out of memory: the node reports it and goes on, or fails by name and can be fixed."""

from __future__ import annotations

import itertools
import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from geometry_msgs.msg import PoseStamped
from lifecycle_msgs.msg import Transition
from live import Client, image_message, localizer_process, wait_until
from watched import Watched, watched

from transposenet_core.localizer import Localizer
from transposenet_ros.output.conversions import pose_from_message
from transposenet_ros.replay.processes import free_domain

OUT_OF_MEMORY = "cuda ran out of memory twice (CUDA out of memory. Tried to allocate 20.00 MiB. GPU 0 has none left.)"
STAMPS = itertools.count(1000)


def test_n27_auto_without_cuda_runs_on_the_cpu_and_reports_it(
    monkeypatch: pytest.MonkeyPatch, scene_model_folder: Path, image_HW3: np.ndarray
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    with watched(scene_model_folder, device="auto") as node:
        node.camera().publish(image_message(image_HW3, 1000))
        node.pose_at(1000)
        log, note = node.process.log, node.values()["device_note"]
        assert note == "device 'auto' found no CUDA and runs on the CPU"
        assert [line for line in log.splitlines() if "[INFO]" in line and f"is ready on cpu ({note})" in line]
        assert not [line for line in log.splitlines() if "[WARN]" in line and "CUDA" in line], "it is no fault"
        assert node.values()["device"] == "cpu"


def test_n27_cuda_without_cuda_fails_configure_and_can_be_fixed(
    monkeypatch: pytest.MonkeyPatch, domain: int, scene_model_folder: Path
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    with localizer_process(domain, scene_model_folder, device="cuda") as process, Client(domain) as client:
        process.wait_for_log("the node stays unconfigured")
        (line,) = [line for line in process.log.splitlines() if "[ERROR]" in line]
        assert "configure failed: device 'cuda' is requested, but torch finds no CUDA device; use device 'auto'" in line
        assert client.state() == "unconfigured"
        assert client.set_parameters(device="cpu") == (True, "")
        assert client.change_state(Transition.TRANSITION_CONFIGURE)
        assert client.change_state(Transition.TRANSITION_ACTIVATE)
        assert client.state() == "active"


@dataclass
class Failing:
    """A node on a pretended GPU, and how often that is to run out of memory."""

    node: Watched
    model: Path

    def fail(self, **times: int) -> None:
        (self.model / "failures.json").write_text(json.dumps(times))

    def change(self, *transitions: str) -> bool:
        """Whether all transitions succeeded."""
        numbers = [getattr(Transition, f"TRANSITION_{name.upper()}") for name in transitions]
        return all(self.node.client.change_state(number) for number in numbers)

    def configure(self, **parameters: object) -> bool:
        if self.node.client.state() == "active":
            assert self.change("deactivate", "cleanup")
        assert self.node.client.set_parameters(**parameters) == (True, "")
        return self.change("configure")

    def start(self, **parameters: object) -> Any:
        """A camera of an active node."""
        assert self.configure(**parameters) and self.change("activate")
        return self.node.camera()

    def device(self) -> tuple[str, str]:
        """Device and note of diagnostics that were made after this call."""
        seen = len(self.node.diagnostics)
        wait_until(lambda: len(self.node.diagnostics) > seen + 1, "diagnostics")
        return self.node.values()["device"], self.node.values()["device_note"]


@pytest.fixture(scope="module")
def failing(scene_model_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Failing]:
    model = tmp_path_factory.mktemp("models") / "office"
    shutil.copytree(scene_model_folder, model)
    program = Path(__file__).with_name("pretended_gpu.py")
    with (
        free_domain() as domain,
        localizer_process(domain, model, program=program, autostart="false") as process,
        Client(domain) as client,
    ):
        diagnostics = client.collect(DiagnosticArray, "/diagnostics")
        poses = client.collect(PoseStamped, "/localizer/pose")
        wait_until(lambda: diagnostics, "diagnostics")
        yield Failing(Watched(domain, process, client, diagnostics, poses), model)


def localized(failing: Failing, camera: Any, image_HW3: np.ndarray, localizer: Localizer) -> None:
    """Assert that the node publishes the offline pose for an image."""
    stamp = next(STAMPS)
    camera.publish(image_message(image_HW3, stamp))
    live = pose_from_message(failing.node.pose_at(stamp).pose)
    np.testing.assert_allclose(live.position, localizer.localize(image_HW3).pose.position, atol=1e-6)


@pytest.mark.parametrize("work", ["load", "localize"])
def test_n28_out_of_memory_at_the_start(
    failing: Failing, image_HW3: np.ndarray, localizer: Localizer, work: str
) -> None:
    """Once is forgiven; twice is the CPU or a failure, by parameter."""
    failing.fail(**{work: 2})
    assert failing.configure(on_device_error="error") is False
    seen = len(failing.node.diagnostics)
    wait_until(lambda: len(failing.node.diagnostics) > seen + 1, "diagnostics")
    status = failing.node.diagnostics[-1].status[0]
    assert status.level == DiagnosticStatus.ERROR and f"configure failed: {OUT_OF_MEMORY}" in status.message
    failing.fail(**{work: 2})
    camera = failing.start(on_device_error="cpu")
    localized(failing, camera, image_HW3, localizer)
    failing.node.wait_for_level(DiagnosticStatus.WARN, f"localizing, but {OUT_OF_MEMORY}")
    assert failing.device() == ("cpu", f"{OUT_OF_MEMORY}; running on the CPU from now on")
    failing.node.client.node.destroy_publisher(camera)
    failing.fail(**{work: 1})
    camera = failing.start(on_device_error="error")
    assert failing.device() == ("cuda", "")
    failing.node.client.node.destroy_publisher(camera)


def test_n28_out_of_memory_while_running_falls_to_the_cpu(
    failing: Failing, image_HW3: np.ndarray, localizer: Localizer
) -> None:
    failing.fail()
    camera = failing.start(on_device_error="cpu")
    for times, device in ((0, "cuda"), (1, "cuda"), (2, "cpu")):
        failing.fail(localize=times)
        localized(failing, camera, image_HW3, localizer)  # the very frame that failed, too
        assert failing.device()[0] == device
    last = [line for line in failing.node.process.log.splitlines() if OUT_OF_MEMORY in line][-1]
    assert "[WARN]" in last and "running on the CPU from now on" in last
    failing.node.client.node.destroy_publisher(camera)


def test_n28_out_of_memory_while_running_is_an_error_by_parameter(
    failing: Failing, image_HW3: np.ndarray, localizer: Localizer
) -> None:
    failing.fail()
    camera = failing.start(on_device_error="error")
    localized(failing, camera, image_HW3, localizer)
    assert failing.device() == ("cuda", "")
    failing.fail(localize=1000)
    camera.publish(image_message(image_HW3, next(STAMPS)))
    failing.node.wait_for_level(DiagnosticStatus.ERROR, "no frame localized: device_failed")
    assert f"device_failed: {OUT_OF_MEMORY} and parameter 'on_device_error' is 'error'" in failing.node.process.log
    failing.node.client.node.destroy_publisher(camera)
    camera = failing.start(device="cpu")
    localized(failing, camera, image_HW3, localizer)
    assert failing.node.process.alive and "Traceback" not in failing.node.process.log

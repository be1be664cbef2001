"""Another scene model while the node runs, models that it must refuse, and two nodes side by side."""

from __future__ import annotations

import shutil
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, final

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import PoseStamped
from lifecycle_msgs.msg import Transition
from live import MATCH_SECONDS, Client, image_message, localizer_process, seconds_of, wait_until
from rcl_interfaces.srv import GetParameters, SetParameters
from rclpy.parameter import Parameter
from sensor_msgs.msg import Image
from untrained import save_untrained
from watched import Watched, watched

from transposenet_core.localizer import Localizer
from transposenet_core.preprocessing import Preprocessing
from transposenet_ros.output.conversions import pose_from_message
from transposenet_ros.replay.processes import free_domain

FRAMES, RATE, AFTER = 30, 30.0, 8


@pytest.fixture(scope="module")
def models_dir(scene_model_folder: Path, image_HW3: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two scenes, and what a running node must not take: damaged ones and a link that leads out."""
    folder = tmp_path_factory.mktemp("models")
    shutil.copytree(scene_model_folder, folder / "office")
    images = [np.roll(image_HW3, 7 * k, axis=0) for k in range(4)]
    preprocessing = Preprocessing(64, (64, 96))
    save_untrained(folder / "kitchen", images, preprocessing, {}, name="kitchen", map_frame="kitchen_map")
    shutil.copytree(scene_model_folder, folder / "truncated")
    weights = folder / "truncated" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:100_000])
    shutil.copytree(scene_model_folder, folder / "garbage")
    (folder / "garbage" / "scene.json").write_text("{")
    (folder / "link").symlink_to(scene_model_folder)
    return folder


@pytest.fixture(scope="module")
def node(models_dir: Path) -> Iterator[Watched]:
    with watched(models_dir / "office", models_dir=models_dir) as running:
        yield running


@pytest.fixture(scope="module")
def camera(node: Watched) -> Any:
    return node.camera()


def model_of(client: Client) -> str:
    request = GetParameters.Request(names=["model"])
    return client.call(GetParameters, "/localizer/get_parameters", request).values[0].string_value


@final
class Stream:
    """At least `FRAMES` images at `RATE` from a thread, `AFTER` of them after the block, and what became of each."""

    def __init__(self, node: Watched, camera: Any, image_HW3: np.ndarray) -> None:
        self._node, self._camera, self._image_HW3 = node, camera, image_HW3
        self._before, self._published = self._counts(), len(node.poses)
        self.sent, self._left = 0, threading.Event()
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        began, end = time.monotonic(), 0
        while self.sent < max(FRAMES, end) or not end:
            self._camera.publish(image_message(self._image_HW3, time.time()))
            self.sent += 1
            if not end and self._left.is_set():
                end = self.sent + AFTER
            time.sleep(max(0.0, began + self.sent / RATE - time.monotonic()))

    def _counts(self) -> dict[str, int]:
        names = ("received", "localized", "dropped", "dropped_superseded")
        return {name: int(self._node.values().get(name, 0)) for name in names}

    def counts(self) -> dict[str, int]:
        """How many of the stream's frames came to which end."""
        return {name: count - self._before[name] for name, count in self._counts().items()}

    @property
    def poses(self) -> list[PoseStamped]:
        return self._node.poses[self._published :]

    def __enter__(self) -> Stream:
        self._thread.start()
        wait_until(lambda: len(self.poses) > 1, "frames to flow")
        return self

    def __exit__(self, *_: object) -> None:
        self._left.set()
        self._thread.join()
        wait_until(lambda: self.counts()["received"] == self.sent, "every frame")
        wait_until(lambda: self.counts()["localized"] + self.counts()["dropped"] == self.sent, "an end for every frame")
        wait_until(lambda: len(self.poses) == self.counts()["localized"], "every pose")


def test_another_scene_from_the_next_frame_on(
    node: Watched, camera: Any, models_dir: Path, image_HW3: np.ndarray
) -> None:
    # A test that is repeated finds the node with the model that it had changed to.
    now = Path(model_of(node.client)).name
    for scene in sorted(("kitchen", "office"), key=lambda scene: scene == now):
        offline = Localizer(models_dir / scene, device="cpu").localize(image_HW3).pose
        with Stream(node, camera, image_HW3) as stream:
            asked = len(stream.poses)
            assert node.client.set_parameters(model=str(models_dir / scene)) == (True, "")
            changed = time.time()
        frames = [pose.header.frame_id for pose in stream.poses]
        first = frames.index(f"{scene}_map")
        assert set(frames[:first]) <= {"office_map", "kitchen_map"} - {f"{scene}_map"}
        assert set(frames[first:]) == {f"{scene}_map"}, "and no way back"
        assert first > asked, "the old model went on while the new one was loaded"
        assert seconds_of(stream.poses[first]) <= changed + 2 / RATE, "from the next frame on"
        assert stream.counts()["dropped"] == stream.counts()["dropped_superseded"]
        for pose in stream.poses[first:]:
            np.testing.assert_allclose(pose_from_message(pose.pose).position, offline.position, atol=1e-5)
        assert model_of(node.client) == str(models_dir / scene)
        wait_until(lambda scene=scene: node.values()["scene"] == scene, "diagnostics with the new scene")


@pytest.mark.parametrize(
    ("model", "words"),
    [
        pytest.param("truncated", "truncated", id="truncated"),
        pytest.param("garbage", "not valid JSON", id="garbage"),
        pytest.param("nowhere", "no such folder", id="missing"),
        pytest.param("link", "is not below parameter 'models_dir'", id="link_that_leads_out"),
        pytest.param("../office", "is not below parameter 'models_dir'", id="outside"),
        pytest.param("", "'model' is empty", id="empty"),
    ],
)
def test_n34_a_bad_model_is_refused_and_the_old_one_stays_in_use(
    node: Watched, camera: Any, models_dir: Path, image_HW3: np.ndarray, model: str, words: str
) -> None:
    old = model_of(node.client)
    with Stream(node, camera, image_HW3) as stream:
        wanted = str(models_dir / model) if model else ""
        taken, reason = node.client.set_parameters(model=wanted, stale_after=0.5)
        replied = time.time()
    assert not taken and words in reason and wanted in reason
    assert model_of(node.client) == old
    assert {pose.header.frame_id for pose in stream.poses} == {f"{Path(old).name}_map"}
    assert any(seconds_of(pose) > replied for pose in stream.poses), "frames after the response"
    assert stream.counts()["dropped"] == stream.counts()["dropped_superseded"], "every frame has its end, and a name"


def test_a_model_that_is_ready_after_cleanup_is_not_taken(node: Watched, models_dir: Path) -> None:
    """The executor goes on while a model is loaded, and so does the life cycle."""
    responses: list[tuple[bool, str]] = []
    change = threading.Thread(
        target=lambda: responses.append(node.client.set_parameters(model=str(models_dir / "kitchen")))
    )
    change.start()
    time.sleep(0.13)  # its request is sent MATCH_SECONDS after the service is found
    assert node.client.change_state(Transition.TRANSITION_DEACTIVATE)
    assert node.client.change_state(Transition.TRANSITION_CLEANUP)
    change.join()
    assert responses == [(True, "")]
    wait_until(lambda: node.values()["state"] == "unconfigured", "an unconfigured node")
    assert node.client.set_parameters(device="cpu") == (True, ""), "allowed while unconfigured alone"
    assert node.client.change_state(Transition.TRANSITION_CONFIGURE)
    wait_until(lambda: node.values()["scene"] == "kitchen", "the model that the parameter names")


def test_n33_a_signal_while_a_model_is_loaded_ends_the_node_in_order(domain: int, models_dir: Path) -> None:
    """Python aborts where a thread is inside torch at its end."""
    model = models_dir / "office"
    with localizer_process(domain, model, models_dir=models_dir) as process, Client(domain) as client:
        client.wait_for_state("active")
        service = client.node.create_client(SetParameters, "/localizer/set_parameters")
        wait_until(service.service_is_ready, "the service")
        time.sleep(MATCH_SECONDS)
        service.call_async(SetParameters.Request(parameters=[Parameter("model", value=str(model)).to_parameter_msg()]))
        time.sleep(0.2)  # it is being loaded by now
        process.signal(signal.SIGINT)
        assert process.wait(10) == 0, process.log
        assert "Traceback" not in process.log and "terminate called" not in process.log, process.log


def test_n35_two_nodes_in_namespaces_share_nothing_but_transforms(models_dir: Path, image_HW3: np.ndarray) -> None:
    scenes = {"/a": "office", "/b": "kitchen"}
    with ExitStack() as stack:
        domain = stack.enter_context(free_domain())
        for namespace, scene in scenes.items():
            remap = ("-r", f"__ns:={namespace}")
            stack.enter_context(localizer_process(domain, models_dir / scene, *remap))
        client = stack.enter_context(Client(domain))
        poses: dict[str, list[PoseStamped]] = {}
        for namespace in scenes:
            client.wait_for_state("active", f"{namespace}/localizer")
            poses[namespace] = client.collect(PoseStamped, f"{namespace}/localizer/pose")
        diagnostics = client.collect(DiagnosticArray, "/diagnostics")
        for k, (namespace, scene) in enumerate(scenes.items()):
            camera = client.image_publisher(Image, f"{namespace}/image")
            camera.publish(image_message(image_HW3, k + 1, frame_id=f"camera_{scene}"))
        for k, (namespace, scene) in enumerate(scenes.items()):
            (pose,) = wait_until(lambda found=poses[namespace]: found, f"a pose of {namespace}")
            assert pose.header.stamp.sec == k + 1 and pose.header.frame_id == f"{scene}_map"
        names = {"/a/localizer: localization", "/b/localizer: localization"}
        wait_until(lambda: {message.status[0].name for message in diagnostics} == names, "both diagnostics")
        offered = [set(), set()]
        for found, namespace in zip(offered, scenes, strict=True):
            for by_node in ("get_publisher_names_and_types_by_node", "get_service_names_and_types_by_node"):
                found.update(name for name, _ in getattr(client.node, by_node)("localizer", namespace))
            assert f"{namespace}/localizer/set_enabled" in found and f"{namespace}/localizer/pose" in found
        assert offered[0] & offered[1] == {"/tf", "/diagnostics", "/parameter_events", "/rosout"}

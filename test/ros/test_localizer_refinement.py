"""Poses refined against keyframes in the running node: what it says of each frame, and models that it must refuse."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from camera_infos import info_of
from diagnostic_msgs.msg import DiagnosticArray
from live import image_message, wait_until
from scene_with_keyframes import PREDICTED, SEEN, save_scene_with_keyframes
from sensor_msgs.msg import CameraInfo
from textured_planes import ARC, CAMERA, ROOM, render
from untrained import save_untrained
from watched import Watched, watched

from transposenet_core.geometry.intrinsics import Intrinsics
from transposenet_core.geometry.pose import Pose
from transposenet_core.preprocessing import Preprocessing
from transposenet_ros.guarded_localizer import GuardedLocalizer
from transposenet_ros.output.conversions import pose_from_message

KEYFRAMES_FILE = "keyframes_0.safetensors"
NOISE_HW3 = np.random.default_rng(3).integers(0, 256, (CAMERA.height, CAMERA.width, 3), dtype=np.uint8)
Seen = list[tuple[np.ndarray, Pose]]


@pytest.fixture(scope="module")
def models_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="module")
def seen(models_dir: Path) -> Seen:
    """Images of the place whose model has keyframes, with their true poses; other models are beside it."""
    save_untrained(models_dir / "plain", [NOISE_HW3], Preprocessing(72, (72, 96)), {}, "plain", "plain_map")
    damage: dict[str, Callable[[bytes], bytes]] = {
        "truncated": lambda data: data[: len(data) // 2],
        "changed": lambda data: data[:-1] + bytes([data[-1] ^ 1]),
        "empty": lambda data: b"",
    }
    found = save_scene_with_keyframes(models_dir / "planes")
    for name, damaged in damage.items():
        shutil.copytree(models_dir / "planes", models_dir / name)
        file = models_dir / name / KEYFRAMES_FILE
        file.write_bytes(damaged(file.read_bytes()))
    return found


@pytest.fixture(scope="module")
def node(models_dir: Path, seen: Seen) -> Iterator[Watched]:
    with watched(models_dir / "planes", models_dir=models_dir) as running:
        yield running


@pytest.fixture(scope="module")
def localize(node: Watched) -> Callable[[np.ndarray], tuple[Pose, dict[str, str]]]:
    """Publishes an image; returns its pose and the values of its status."""
    camera, statuses = node.camera(), node.client.collect(DiagnosticArray, "/localizer/status")
    wait_until(lambda: node.client.node.count_publishers("/localizer/status") == 1, "the publisher of ~/status")

    def values_of(stamp: Any) -> dict[str, str] | None:
        found = [message for message in list(statuses) if message.header.stamp == stamp]
        return {pair.key: pair.value for pair in found[0].status[0].values} if found else None

    def localized(image_HW3: np.ndarray) -> tuple[Pose, dict[str, str]]:
        now = time.time()
        message = image_message(image_HW3, now)
        camera.publish(message)
        pose = pose_from_message(node.pose_at(now).pose)
        return pose, wait_until(lambda: values_of(message.header.stamp), "the frame's status")

    return localized


def test_a_frame_of_the_place_is_refined_and_every_output_says_so(node: Watched, seen: Seen, localize: Any) -> None:
    for image_HW3, true in seen:
        pose, values = localize(image_HW3)
        assert values["refined"] == "true" and values["refinement"].endswith("corners of 2 keyframes agree"), values
        assert "the keyframes' covariance" in values["confidence"]
        off, unrefined = (float(np.linalg.norm(each.position - true.position)) for each in (pose, PREDICTED))
        assert off < 0.01 and unrefined > 0.05, "better than the network's pose"
    wait_until(lambda: int(node.values()["localized"]) >= len(seen), "diagnostics of them")
    values = node.values()
    assert float(values["refined_share"]) == 1
    assert (values["refine"], values["keyframes"]) == ("auto", str(len(ARC)))
    assert f"refined against {len(ARC)} keyframes" in node.process.log
    stages = ("waiting", "decode", "inference", "refine", "publish")
    if values["localized"] == "2":  # of two frames, and no more, the median is the mean
        whole = sum(float(values[f"{stage}_p50_ms"]) for stage in stages)
        assert whole == pytest.approx(float(values["latency_p50_ms"]), abs=0.01), "the stages add up"


@pytest.mark.parametrize("shown", ["noise", "black", "white", "upside_down"])
def test_r02_what_keyframes_do_not_confirm_keeps_the_networks_pose(
    node: Watched, seen: Seen, localize: Any, shown: str
) -> None:
    black_HW3 = np.zeros_like(NOISE_HW3)
    images = {"noise": NOISE_HW3, "black": black_HW3, "white": black_HW3 + 255, "upside_down": seen[0][0][::-1, ::-1]}
    pose, values = localize(np.ascontiguousarray(images[shown]))
    assert values["localized"] == "true" and values["refined"] == "false"
    assert values["refinement"].startswith("not accepted: "), values
    assert "the scene's error on" in values["confidence"]
    np.testing.assert_allclose(pose.position, PREDICTED.position, atol=1e-5)
    wait_until(lambda: float(node.values().get("refined_share", 1)) < 1, "a share in the diagnostics")


@pytest.mark.parametrize(
    ("model", "words"),
    [("truncated", "bytes"), ("changed", "its hash is not the one in the description"), ("empty", "bytes")],
)
def test_r01_a_model_with_damaged_keyframes_is_refused_and_the_old_one_stays_in_use(
    node: Watched, seen: Seen, localize: Any, models_dir: Path, model: str, words: str
) -> None:
    taken, reason = node.client.set_parameters(model=str(models_dir / model))
    assert not taken
    assert reason.startswith(str(models_dir / model / KEYFRAMES_FILE)) and words in reason and "\n" not in reason
    image_HW3, true = seen[0]
    pose, values = localize(image_HW3)
    assert values["refined"] == "true" and node.values()["model"] == str(models_dir / "planes")
    assert float(np.linalg.norm(pose.position - true.position)) < 0.01


def test_a_change_to_a_model_without_keyframes_and_back(
    node: Watched, seen: Seen, localize: Any, models_dir: Path
) -> None:
    image_HW3, _ = seen[0]
    try:
        assert node.client.set_parameters(model=str(models_dir / "plain")) == (True, "")
        _, values = localize(image_HW3)
        assert (values["scene"], values["refined"], values["refinement"]) == ("plain", "false", "")
        wait_until(lambda: node.values()["keyframes"] == "0", "diagnostics without keyframes")
    finally:
        assert node.client.set_parameters(model=str(models_dir / "planes")) == (True, "")
    assert localize(image_HW3)[1]["refined"] == "true"


def test_refine_is_passed_on_and_part_of_what_is_shared(models_dir: Path, seen: Seen) -> None:
    torch.set_num_threads(1)
    logged: list[str] = []

    def loaded(name: str, refine: str) -> GuardedLocalizer:
        return GuardedLocalizer(models_dir / name, "cpu", "cpu", logged.append, "torch", refine)

    auto, off, on = (loaded("planes", refine) for refine in ("auto", "off", "on"))
    assert (auto.refines, off.refines, on.refines) == (True, False, True)
    assert (auto.keyframes, off.keyframes) == (len(ARC), 0)
    assert auto.localize(seen[0][0]).refined and not off.localize(seen[0][0]).refined
    assert loaded("planes", "auto")._localizer is auto._localizer is not off._localizer
    assert not loaded("truncated", "off").refines, "whose keyframes are not needed then"


def test_a_model_without_keyframes_is_refused_where_refine_is_on(node: Watched, models_dir: Path) -> None:
    """`on` as a command or a YAML file has it: as true."""
    try:
        node.reconfigure(refine=True)
        wait_until(lambda: node.values()["refine"] == "on", "the word in the diagnostics")
        taken, reason = node.client.set_parameters(model=str(models_dir / "plain"))
        assert not taken and "has no keyframes of plain, which refine 'on' needs" in reason
    finally:
        node.reconfigure(refine="auto")


def test_a_refined_pose_of_another_camera_is_not_used(node: Watched, localize: Any) -> None:
    """Keyframes would confirm it, at a wrong distance: a third of a metre at 4 m, with a sigma of millimetres."""
    longer = replace(CAMERA, fx=1.1 * CAMERA.fx, fy=1.1 * CAMERA.fy)
    infos = node.client.node.create_publisher(CameraInfo, "/camera_info", 1)
    wait_until(infos.get_subscription_count, "the node to hear of the camera")

    def describe(camera: Intrinsics, words: str) -> None:
        infos.publish(info_of(camera.width, camera.height, camera.fx, (camera.cx, camera.cy)))
        wait_until(lambda: words in node.values()["camera"], f"{words!r} about the camera")

    image_HW3, _ = render(ROOM, SEEN[0], longer)
    try:
        describe(longer, "fx is 154.0 instead of 140.0 px")
        pose, values = localize(image_HW3)
        assert values["refined"] == "false" and "is of another camera" in values["refinement"], values
        np.testing.assert_allclose(pose.position, PREDICTED.position, atol=1e-5)
    finally:
        describe(CAMERA, "it is the training camera")
    assert localize(render(ROOM, SEEN[0])[0])[1]["refined"] == "true"

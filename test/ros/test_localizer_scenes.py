"""A running localizer whose model holds two scenes: what it publishes is in the map of the scene that it found."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import PoseStamped, PoseWithCovarianceStamped
from live import Client, image_message, localizer_process, wait_until
from nav_msgs.msg import Path as PathMessage
from sensor_msgs.msg import Image, PointCloud2
from tf2_msgs.msg import TFMessage
from visualization_msgs.msg import MarkerArray

from transposenet_core.localizer import Localizer
from transposenet_core.models import build_model
from transposenet_core.preprocessing import Preprocessing
from transposenet_core.scene_model import HeldOutError, KnownFrames, MappedScene, SceneModel
from transposenet_ros.output.conversions import pose_from_message
from transposenet_ros.replay.processes import free_domain

SIZE = (32, 48)
OPTIONS = {"scenes": 2, "image_size": list(SIZE), "encoder_layers": 1, "decoder_layers": 2, "heads": 2, "width": 32}
OPTIONS |= {"mlp_width": 32, "head_width": 32, "position_clusters": 2}
RNG = np.random.default_rng(0)
DESK_HW3, SHELF_HW3 = RNG.integers(0, 256, (2, 48, 72, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def two_scenes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random weights but for the scene's, which are solved for: one image is the desk, the other the shelf."""
    torch.manual_seed(2)
    network: Any = build_model("coarse_to_fine", **OPTIONS)
    orientations_N4 = np.tile([0.5, 0.5, -0.5, 0.5], (20, 1)) + RNG.uniform(0, 0.1, (20, 4))
    poses = [(RNG.uniform(0, 1, (20, 3)) + away, orientations_N4) for away in (0, 50)]
    network.start_from_poses(poses)
    preprocessing = Preprocessing(SIZE[0], SIZE)
    images_23HW = torch.cat([preprocessing(image_HW3) for image_HW3 in (DESK_HW3, SHELF_HW3)])
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = None
    with torch.no_grad():
        network.train()(images_23HW)
        maps = network.eval().backbone(images_23HW)
        latents = network.position_transformer(maps[4]), network.orientation_transformer(maps[3])
        away_2C = (both := torch.cat(latents, dim=-1))[:, 0] - both[:, 1]
        network.scene.weight.copy_((torch.linalg.pinv(away_2C.double()) @ torch.tensor([4.0, -4.0]).double())[None])
    desk, shelf = (
        MappedScene(
            name,
            f"{name}_map",
            HeldOutError((std,) * 3, (std,) * 3, f"{name} frames"),
            frames=KnownFrames.trained_on(pose[0], pose[1] / np.linalg.norm(pose[1], axis=1)[:, None]),
        )
        for name, std, pose in zip(("desk", "shelf"), (0.1, 0.2), poses, strict=True)
    )
    folder = tmp_path_factory.mktemp("two") / "model"
    SceneModel(
        architecture="coarse_to_fine",
        options=OPTIONS,
        preprocessing=preprocessing,
        network=network,
        scenes=(desk, shelf),
    ).save(folder)
    return folder


def test_the_map_frame_follows_the_scene_that_was_found(two_scenes: Path) -> None:
    offline = Localizer(two_scenes, device="cpu")
    with free_domain() as domain, localizer_process(domain, two_scenes) as process, Client(domain) as client:
        heard = {
            "pose": client.collect(PoseStamped, "/localizer/pose"),
            "covariance": client.collect(PoseWithCovarianceStamped, "/localizer/pose_with_covariance"),
            "status": client.collect(DiagnosticArray, "/localizer/status"),
            "path": client.collect(PathMessage, "/localizer/path"),
            "transforms": client.collect(TFMessage, "/tf"),
        }
        clouds = client.collect(PointCloud2, "/localizer/training_positions")
        markers = client.collect(MarkerArray, "/localizer/markers")
        client.wait_for_state("active")
        process.wait_for_log("scene 'desk + shelf' of")
        camera = client.image_publisher(Image, "/image")
        for name, image_HW3 in (("desk", DESK_HW3), ("shelf", SHELF_HW3), ("desk", DESK_HW3)):
            sent = image_message(image_HW3, time.time())
            camera.publish(sent)

            def published(topic: str, sent: Image = sent) -> Any:
                messages = heard[topic]
                if topic == "transforms":
                    messages = [transform for message in messages for transform in message.transforms]
                return next((m for m in list(messages) if m.header.stamp == sent.header.stamp), None)

            found = {topic: wait_until(lambda topic=topic: published(topic), f"a {topic}") for topic in heard}
            assert {topic: m.header.frame_id for topic, m in found.items()} == dict.fromkeys(heard, f"{name}_map")
            estimate = offline.localize(image_HW3)
            live = pose_from_message(found["pose"].pose)
            np.testing.assert_allclose(live.position, estimate.pose.position, atol=1e-5)
            assert (live.position.min() > 30) == (name == "shelf")
            assert found["covariance"].pose.covariance[0] == pytest.approx(0.01 if name == "desk" else 0.04)
            assert len(found["path"].poses) == 1  # the path in another map is another path
            wait_until(
                lambda name=name: clouds and clouds[-1].header.frame_id == f"{name}_map", "the scene's positions"
            )
            wait_until(
                lambda name=name: markers and markers[-1].markers[0].header.frame_id == f"{name}_map", "its markers"
            )
            status = found["status"].status[0]
            values = {pair.key: pair.value for pair in status.values}
            assert status.hardware_id == values["scene"] == estimate.scene == name
            assert float(values["scene_probability"]) == pytest.approx(estimate.scene_probability, abs=1e-3)
            assert estimate.scene_probability == pytest.approx(1 / (1 + np.exp(-4)), abs=1e-3)  # as it was solved for
            assert values["confidence"].startswith("scene 98.2%, within it one sigma ")
            assert f"error on {name} frames" in values["confidence"]


def test_one_frame_for_two_maps_is_refused(two_scenes: Path) -> None:
    with free_domain() as domain, localizer_process(domain, two_scenes, map_frame="world") as process:
        process.wait_for_log(
            "parameter 'map_frame' is 'world', but the scene model holds several scenes (desk + shelf)"
        )
        process.wait_for_log("configure failed")
        assert "(desk_map, shelf_map); leave it empty" in process.log

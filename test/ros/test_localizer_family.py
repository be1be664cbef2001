"""Every kind of network that can be trained runs in the node as it does offline: its pose and its covariance."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from geometry_msgs.msg import PoseWithCovarianceStamped
from live import image_message, wait_until
from small_models import OPTIONS, SIZE, small_model
from untrained import one_scene, show_to_batch_norms, with_scene
from watched import Watched, watched

from transposenet_core.localizer import Localizer
from transposenet_core.models import model_names
from transposenet_core.preprocessing import Preprocessing, normalise
from transposenet_core.scene_model import Calibration, SceneModel
from transposenet_ros.output.conversions import pose_from_message

# The auto-encoder has a teacher inside and tests of its own (test_localizer_reconstruction).
NAMES = sorted(set(OPTIONS) - {"pose_autoencoder"})


def test_no_network_is_forgotten() -> None:
    assert set(OPTIONS) == set(model_names())


@torch.no_grad()
def save(folder: Path, name: str, image_B3HW: torch.Tensor) -> Path:
    """Random weights; what a network takes from its scene it gets from the images."""
    network, options = small_model(name)
    if name == "retrieval":
        position_B3 = torch.arange(3.0 * len(image_B3HW)).view(-1, 3)
        network.memorise(normalise(image_B3HW), position_B3, torch.eye(4)[:1].repeat(len(image_B3HW), 1))
    else:
        show_to_batch_norms(network, normalise(image_B3HW))
    scenes = one_scene(name, f"{name}_map")
    model = SceneModel(name, options, Preprocessing(72, SIZE), network.eval(), scenes)
    model.save(folder / name)
    if name == "scene_coordinates":  # and one that was never this uncertain of a frame of its scene
        with_scene(model, calibration={name: Calibration((1.0, 1.0), 1e-3)}).save(folder / "sure")
    return folder / name


@pytest.fixture(scope="module")
def models_dir(image_HW3: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder, preprocessing = tmp_path_factory.mktemp("family"), Preprocessing(72, SIZE)
    images = [preprocessing.resize(np.roll(image_HW3, 90 * k, axis=1)) for k in range(4)]
    for name in NAMES:
        save(folder, name, preprocessing.crop(torch.stack(images)))
    return folder


@pytest.fixture(scope="module")
def node(models_dir: Path) -> Iterator[Watched]:
    with watched(models_dir / "transposenet", models_dir=models_dir) as running:
        yield running


@pytest.fixture(scope="module")
def covariances(node: Watched) -> list[PoseWithCovarianceStamped]:
    return node.client.collect(PoseWithCovarianceStamped, "/localizer/pose_with_covariance")


@pytest.mark.parametrize("name", NAMES)
def test_it_returns_live_what_it_returns_offline(
    node: Watched, covariances: list, models_dir: Path, image_HW3: np.ndarray, name: str
) -> None:
    assert node.client.set_parameters(model=str(models_dir / name)) == (True, "")
    shown = np.roll(image_HW3, 40, axis=1)  # none that a network has seen
    expected = Localizer(models_dir / name, device="cpu").localize(shown)
    stamp = 1000.0 + list(OPTIONS).index(name)
    node.camera().publish(image_message(shown, stamp))
    pose = node.pose_at(stamp)
    assert pose.header.frame_id == f"{name}_map"
    live = pose_from_message(pose.pose)
    np.testing.assert_allclose(live.position, expected.pose.position, atol=1e-5)
    np.testing.assert_allclose(live.orientation, expected.pose.orientation, atol=1e-5)
    (covariance,) = wait_until(
        lambda: [a for a in covariances if a.header.stamp == pose.header.stamp], "its covariance"
    )
    covariance_66 = np.reshape(covariance.pose.covariance, (6, 6))
    np.testing.assert_allclose(covariance_66, expected.covariance_66, rtol=1e-3, atol=1e-6)
    assert np.linalg.eigvalsh(covariance_66).min() > 0


def test_n11_a_frame_of_another_place_is_dropped_by_name_unless_it_is_asked_for(
    node: Watched, models_dir: Path, image_HW3: np.ndarray
) -> None:
    assert node.client.set_parameters(model=str(models_dir / "sure")) == (True, "")
    before, camera = node.count("out_of_scene"), node.camera()
    stamps = itertools.count(2000.0, 0.01)

    def dropped() -> bool:  # the first may be lost while the subscription takes on the camera's reliability
        camera.publish(image_message(image_HW3, next(stamps)))
        time.sleep(0.1)
        return node.count("out_of_scene") > before

    wait_until(dropped, "a frame that is dropped as out_of_scene")
    assert "it may show another place" in node.process.log
    node.reconfigure(out_of_scene="publish")
    expected, stamps = (
        Localizer(models_dir / "sure", device="cpu").localize(image_HW3).pose,
        itertools.count(2010.0, 0.1),
    )

    def published() -> list:
        camera.publish(image_message(image_HW3, next(stamps)))
        time.sleep(0.1)
        return [pose for pose in list(node.poses) if pose.header.stamp.sec >= 2010]

    live = pose_from_message(wait_until(published, "a pose")[0].pose)
    np.testing.assert_allclose(live.position, expected.position, atol=1e-5)
    assert not [pose for pose in node.poses if 2000 <= pose.header.stamp.sec < 2010]

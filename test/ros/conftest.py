"""Fixtures of the tests that need ROS 2; where rclpy is absent they are left out and the head of the run reports it."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from untrained import save_untrained

from transposenet_core.localizer import Localizer
from transposenet_core.preprocessing import Preprocessing

HAVE_ROS = importlib.util.find_spec("rclpy") is not None
collect_ignore_glob = [] if HAVE_ROS else ["*"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Live tests get a second try, which the summary counts: on a shared machine a process may stall."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.flaky(reruns=1))


def pytest_report_header() -> str | None:
    return None if HAVE_ROS else "rclpy is not installed: test/ros is left out"


# Read by rmw and rosidl when the first context is made: the tests never talk to other machines.
os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
os.environ.pop("RMW_IMPLEMENTATION", None)
os.environ.setdefault("AMENT_PREFIX_PATH", sys.prefix)
sys.path.insert(0, str(Path(__file__).parent))

if HAVE_ROS:
    from transposenet_ros.replay.processes import free_domain


@pytest.fixture
def domain() -> Iterator[int]:
    """A ROS domain of this test's own."""
    with free_domain() as number:
        yield number


@pytest.fixture(scope="session")
def scene_model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A real scene model for 64x96 images with random weights: its poses mean nothing, but differ by image."""
    noise = np.random.default_rng(11).integers(0, 256, (6, 8, 12, 3), dtype=np.uint8)
    images = [np.kron(coarse_HW3, np.ones((8, 8, 1), np.uint8)) for coarse_HW3 in noise]
    folder = tmp_path_factory.mktemp("scene_models") / "office"
    return save_untrained(folder, images, Preprocessing(64, (64, 96)), {}, name="office", map_frame="office_map")


@pytest.fixture(scope="session")
def localizer(scene_model_folder: Path) -> Localizer:
    """The same model in this process: what the node must publish."""
    torch.set_num_threads(1)  # torch's threads spin, and beside the node's they make a small machine ten times slower
    return Localizer(scene_model_folder, device="cpu")


@pytest.fixture(scope="session")
def image_HW3() -> np.ndarray:
    """A smooth 64x96 image with structure in every channel: what JPEG keeps and a network can distinguish."""
    rows, columns = np.mgrid[0:64, 0:96]
    waves = [np.sin(rows / 7 + 1.3 * k) + np.cos(columns / (5 + 2 * k)) for k in range(3)]
    return np.round(127 + 60 * np.stack(waves, axis=-1)).astype(np.uint8)


@pytest.fixture(scope="session")
def images(image_HW3: np.ndarray) -> list[np.ndarray]:
    """Four images with four poses."""
    return [np.roll(image_HW3, 11 * k, axis=1) for k in range(4)]

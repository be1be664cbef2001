"""A drive of made images, a model with random weights for it, and its recording."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from untrained import save_untrained

from transposenet_core.geometry.pose import Pose
from transposenet_core.image_files import read_image
from transposenet_core.preprocessing import Preprocessing
from transposenet_core.scene import PosedImage
from transposenet_ros.make_bag import make_bag

NETWORK_SIZE = (64, 96)
FRAMES = 24


@pytest.fixture(scope="module")
def drive(tmp_path_factory) -> list[PosedImage]:
    """Random textures with random poses: nothing to learn, everything to mix up."""
    folder = tmp_path_factory.mktemp("drive")
    rng = np.random.default_rng(11)
    images = []
    for index in range(FRAMES):
        path = folder / f"frame-{index:06d}.color.png"
        coarse_HW3 = rng.integers(0, 256, (8, 12, 3), dtype=np.uint8)
        cv2.imwrite(str(path), cv2.resize(coarse_HW3, (160, 120), interpolation=cv2.INTER_CUBIC))
        pose = Pose(rng.normal(size=3), rng.normal(size=4))
        images.append(PosedImage(f"seq-01/{path.name}", path, pose, "test", "seq-01", index / 30))
    return images


@pytest.fixture(scope="module")
def model(drive, tmp_path_factory) -> Path:
    """The paper's network, narrow, for small images."""
    preprocessing = Preprocessing(smaller_edge=NETWORK_SIZE[0], image_size=NETWORK_SIZE)
    # A name that YAML would take for a number.
    folder = tmp_path_factory.mktemp("models") / "7"
    return save_untrained(folder, (read_image(image.path) for image in drive), preprocessing)


@pytest.fixture(scope="module")
def raw_bag(drive, tmp_path_factory) -> Path:
    return make_bag(drive, tmp_path_factory.mktemp("bags") / "raw")

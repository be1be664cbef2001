"""Noise on labels is as large as asked for, repeats, and leaves labels alone where none is asked for."""

from pathlib import Path

import numpy as np
import pytest

from transposenet_core.geometry.pose import Pose, rotation_angle_deg, stack
from transposenet_core.scene import PosedImage
from transposenet_core.training.config import LabelsConfig
from transposenet_core.training.data.label_noise import noisy

HERE = Pose([1.0, 2.0, 3.0], [0.5, -0.5, 0.5, 0.5])
IMAGES = [PosedImage(f"{i}", Path(f"{i}"), HERE, "train", "a", i / 30) for i in range(4000)]


def test_noise_is_as_large_as_asked_for() -> None:
    positions, orientations = stack([i.pose for i in noisy(IMAGES, LabelsConfig(0.05, 3.0), seed=1)])
    assert (positions - HERE.position).std(axis=0) == pytest.approx([0.05] * 3, rel=0.05)
    # The length of a vector of three such angles has the root of three of its variance.
    angles = rotation_angle_deg(orientations, HERE.orientation[None])
    assert np.sqrt(np.mean(angles**2)) == pytest.approx(3.0 * np.sqrt(3), rel=0.05)


def test_it_repeats_by_its_seed_alone() -> None:
    first, second, other = (noisy(IMAGES[:5], LabelsConfig(0.1, 0.0), seed) for seed in (3, 3, 4))
    assert np.array_equal(first[4].pose.position, second[4].pose.position)
    assert not np.array_equal(first[4].pose.position, other[4].pose.position)
    assert np.array_equal(first[4].pose.orientation, HERE.orientation)
    assert noisy(IMAGES, LabelsConfig(), 0) is IMAGES

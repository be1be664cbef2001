"""Training labels with added noise, as of a recording with poorer ground truth."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from transposenet_core.geometry.covariance import with_error
from transposenet_core.scene import PosedImage
from transposenet_core.training.config import LabelsConfig


def noisy(images: list[PosedImage], config: LabelsConfig, seed: int) -> list[PosedImage]:
    """The images with Gaussian noise on each pose, the same for the same seed: position along the map's axes, rotation
    as a rotation vector in the map. Without noise the list is unchanged."""
    if config.position_noise == 0 and config.rotation_noise == 0:
        return images
    generator = np.random.default_rng(seed)
    translations_N3 = generator.normal(0, config.position_noise, (len(images), 3))
    rotations_N3 = generator.normal(0, np.radians(config.rotation_noise), (len(images), 3))
    errors_N6 = np.hstack((translations_N3, rotations_N3))
    return [replace(image, pose=with_error(image.pose, e_6)) for image, e_6 in zip(images, errors_N6, strict=True)]

"""What a trained model has to beat: looking the nearest training picture up, and always answering the mean pose."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import cv2
import numpy as np

from transposenet_core.geometry.pose import Pose

THUMBNAIL_SIZE = (32, 24)


def thumbnail(image_HW3: np.ndarray) -> np.ndarray:
    """Descriptor (D,) of unit length: a 32x24 Lab thumbnail, its lightness freed of brightness and contrast."""
    small = cv2.resize(image_HW3, THUMBNAIL_SIZE, interpolation=cv2.INTER_AREA).astype(np.float32) / 255
    lab = cv2.cvtColor(small, cv2.COLOR_RGB2LAB)
    lightness = (lab[..., 0] - lab[..., 0].mean()) / (lab[..., 0].std() + 1e-6)
    descriptor = np.concatenate([lightness.ravel(), lab[..., 1:].ravel() / 20])
    return descriptor / np.linalg.norm(descriptor)


class ThumbnailRetrieval:
    """Answers the pose of the training picture whose thumbnail correlates best with the query's."""

    def __init__(self, images: Iterable[np.ndarray], poses: Sequence[Pose]) -> None:
        self._descriptors_ND = np.stack([thumbnail(image) for image in images])
        self._poses = list(poses)
        if len(self._descriptors_ND) != len(self._poses):
            raise ValueError(f"{len(self._descriptors_ND)} pictures for {len(self._poses)} poses")

    def lookup(self, image_HW3: np.ndarray) -> Pose:
        return self._poses[int(np.argmax(self._descriptors_ND @ thumbnail(image_HW3)))]

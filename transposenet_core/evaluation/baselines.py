"""What a trained model has to beat: the pose of the most similar training image, and the mean pose."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import cv2
import numpy as np

from transposenet_core.geometry.pose import Pose, mean_pose
from transposenet_core.progress import ProgressBar
from transposenet_core.scene import PosedImage

RETRIEVAL, CONSTANT = "nearest-neighbour retrieval", "constant pose"  # the baselines' names in tables and JSON
THUMBNAIL_SIZE = (32, 24)


def thumbnail(image_HW3: np.ndarray) -> np.ndarray:
    """Descriptor (D,) of unit length: a 32x24 Lab thumbnail, without the brightness and contrast of its lightness."""
    small = cv2.resize(image_HW3, THUMBNAIL_SIZE, interpolation=cv2.INTER_AREA).astype(np.float32) / 255
    lab = cv2.cvtColor(small, cv2.COLOR_RGB2LAB)
    lightness = (lab[..., 0] - lab[..., 0].mean()) / (lab[..., 0].std() + 1e-6)
    descriptor = np.concatenate([lightness.ravel(), lab[..., 1:].ravel() / 20])
    return descriptor / np.linalg.norm(descriptor)


class ThumbnailRetrieval:
    """Returns the pose of the training image whose thumbnail correlates best with the query's."""

    def __init__(self, images: Iterable[np.ndarray], poses: Sequence[Pose]) -> None:
        self._descriptors_ND = np.stack([thumbnail(image) for image in images])
        self._poses = list(poses)
        if len(self._descriptors_ND) != len(self._poses):
            raise ValueError(f"{len(self._descriptors_ND)} images for {len(self._poses)} poses")

    def lookup(self, image_HW3: np.ndarray) -> Pose:
        return self._poses[int(np.argmax(self._descriptors_ND @ thumbnail(image_HW3)))]


def baseline_poses(
    images: Sequence[PosedImage],
    training: Sequence[PosedImage],
    read: Callable[[PosedImage], np.ndarray],
    progress: bool = False,
) -> dict[str, list[Pose]]:
    """The poses that both baselines, which know the `training` images, estimate for `images`, by the baseline's name.

    `read` returns an image as (H, W, 3) uint8 RGB. With `progress` a bar goes to stderr.
    """
    shown = ProgressBar(training, desc="retrieval", unit="img", disable=not progress)
    poses = [image.pose for image in training]
    retrieval = ThumbnailRetrieval((read(image) for image in shown), poses)
    retrieved = [retrieval.lookup(read(image)) for image in images]
    return {RETRIEVAL: retrieved, CONSTANT: [mean_pose(poses)] * len(images)}

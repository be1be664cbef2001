"""How far images drawn from poses are from those that the camera took."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

import numpy as np

from transposenet_core.estimate import Estimate
from transposenet_core.inspection.reconstruction import reconstruct
from transposenet_core.progress import ProgressBar
from transposenet_core.scene import PosedImage
from transposenet_core.scene_model import SceneModel


@dataclass(frozen=True)
class ReconstructionError:
    """Mean absolute differences of RGB, 0 to 1, over the window that the network sees: of images drawn
    from the ground-truth poses, from the estimates of those that were localized (None: of none), and of the training
    frames' mean image."""

    true_poses: float
    estimates: float | None
    mean_image: float
    frames: int
    localized: int

    @classmethod
    def of(
        cls,
        scene_model: SceneModel,
        images: Sequence[PosedImage],
        estimates: Sequence[Estimate],
        training: Sequence[PosedImage],
        read: Callable[[PosedImage], np.ndarray],
        scene: str = "",
        progress: bool = True,
    ) -> ReconstructionError:
        """Of `images` and their `estimates`, in the map of `scene`. UserError without a decoder."""
        seen = scene_model.preprocessing.seen
        mean_HW3 = np.zeros((*scene_model.preprocessing.image_size, 3))
        for image in training:
            mean_HW3 += seen(read(image)) / len(training)
        true, estimated, plain = [], [], []
        drawn = ProgressBar(images, desc="draw", unit="img", disable=not progress)
        for image, estimate in zip(drawn, estimates, strict=True):
            window_HW3 = seen(read(image))
            plain.append(difference(mean_HW3, window_HW3))
            true.append(difference(reconstruct(scene_model, image.pose, scene), window_HW3))
            if estimate.localized and estimate.pose:
                estimated.append(difference(reconstruct(scene_model, estimate.pose, scene), window_HW3))
        means = float(np.mean(true)), float(np.mean(estimated)) if estimated else None, float(np.mean(plain))
        return cls(*means, frames=len(true), localized=len(estimated))

    def to_dict(self) -> dict:
        return asdict(self)

    def __str__(self) -> str:
        estimated = "" if self.estimates is None else f", from {self.localized} estimates {self.estimates:.3f}"
        return (
            f"drawn images, mean absolute difference of 1: from the true poses {self.true_poses:.3f}{estimated}, "
            f"the mean training image {self.mean_image:.3f}"
        )


def difference(a_HW3: np.ndarray, b_HW3: np.ndarray) -> float:
    """Mean absolute difference of two images of 0 to 255, as a share of 255."""
    return float(np.abs(a_HW3.astype(float) - b_HW3).mean() / 255)

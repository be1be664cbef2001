"""Judging a network on frames it does not learn from: figures, a score to choose by, and the error's deviation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from transposenet_core.errors import UserError
from transposenet_core.evaluation import ErrorSummary, error_std, pose_errors, summarise
from transposenet_core.models.pose_averaging import mean_over_views
from transposenet_core.pose import Pose
from transposenet_core.preprocessing import Preprocessing, normalise
from transposenet_core.scene_model import HeldOutError
from transposenet_core.training.pixels import PosedPixels


@dataclass(frozen=True)
class Judge:
    """Held-out frames, their true poses, the training set's mean pose as the yardstick, and what to call the frames."""

    pixels: PosedPixels
    preprocessing: Preprocessing
    truths: list[Pose]
    constant: Pose
    source: str

    def __call__(self, network: nn.Module) -> Validation:
        """The score adds both medians, each as a share of what the constant pose reaches."""
        estimates = predict(network, self.pixels, self.preprocessing)
        summary = summarise(*pose_errors(estimates, self.truths))
        baseline = summarise(*pose_errors([self.constant] * len(self.truths), self.truths))
        score = summary.median_m / max(baseline.median_m, 1e-6) + summary.median_deg / max(baseline.median_deg, 1e-6)
        position_std, rotation_std = error_std(estimates, self.truths)
        floor = (
            1e-3  # nothing is known to a millimetre or milliradian here, and zero variance means certainty to an EKF
        )
        held_out_error = HeldOutError(
            tuple(np.maximum(position_std, floor).tolist()),
            tuple(np.maximum(rotation_std, floor).tolist()),
            self.source,
        )
        return Validation(summary, score, held_out_error)


@dataclass(frozen=True)
class Validation:
    """Errors on held-out frames: their figures, a score (lower is better), and their deviation."""

    summary: ErrorSummary
    score: float
    held_out_error: HeldOutError


@torch.inference_mode()
def predict(network: nn.Module, pixels: PosedPixels, preprocessing: Preprocessing, batch: int = 32) -> list[Pose]:
    """Poses of pictures that are in memory. UserError where the network answers no finite pose."""
    network.eval()
    poses, device = [], pixels.position_N3.device  # the pictures may be too many for it
    for image_B3HW in pixels.image_N3HW.split(max(batch // preprocessing.crops, 1)):
        views = network(normalise(preprocessing.views(image_B3HW).to(device)))
        output = mean_over_views(views, pictures=len(image_B3HW))
        numbers = zip(
            output["position"].double().cpu().numpy(), output["orientation"].double().cpu().numpy(), strict=True
        )
        try:
            poses += [Pose(position, orientation) for position, orientation in numbers]
        except ValueError:
            raise UserError(
                "the network answers poses that are not finite; start again with a lower optimizer.learning_rate"
            ) from None
    return poses

"""Training on pairs of neighbouring frames: the relative pose of the two is part of the loss.

Brahmbhatt et al., "Geometry-Aware Learning of Maps for Camera Localization", 2018, section 3.1: the pose loss of each
frame, and the same loss of the pair's relative pose. Here the views of a pair are rotated and translated independently,
so the relative pose is that of the two virtual views.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from transposenet_core.geometry.quaternions import inverse, product
from transposenet_core.training.losses.labels import Labels


class NeighboursLoss(nn.Module):
    """A pose loss, and `weight` times the same loss of the relative poses of the batch's halves, whose rows are
    neighbours one by one."""

    def __init__(self, pose: Any, weight: float) -> None:
        super().__init__()
        self.pose, self.weight = pose, weight
        self.TERMS = (*pose.TERMS, "relative_position", "relative_orientation")

    def forward(self, output: dict[str, torch.Tensor], labels: Labels) -> dict[str, torch.Tensor]:
        """The terms of the pose loss, and its means for the ``relative_position`` and ``relative_orientation``."""
        terms = self.pose(output, labels)
        position_P3, orientation_P4 = relative(output["position"], output["orientation"])
        predicted = {"position": position_P3, "orientation": orientation_P4}
        position_P3, orientation_P4 = relative(labels.position_B3, labels.orientation_B4)
        between = self.pose(predicted, Labels(position_P3, orientation_P4, None, labels.scene_B[: len(position_P3)]))
        loss = terms["loss"] + self.weight * between["loss"]
        between = {f"relative_{name}": between[name] for name in ("position", "orientation")}
        return {**terms, "loss": loss, **between}


def relative(position_B3: torch.Tensor, orientation_B4: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """From the batch's first half to its second: position (B/2, 3) along the map's axes, and orientation (B/2, 4) of
    the second camera in the first's frame."""
    first_P3, second_P3 = position_B3.chunk(2)
    first_P4, second_P4 = orientation_B4.chunk(2)
    return second_P3 - first_P3, product(inverse(first_P4), second_P4)

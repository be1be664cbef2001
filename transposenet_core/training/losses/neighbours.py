"""Neighbouring frames that learn together: what the camera did between two of them is part of the loss.

Brahmbhatt et al., "Geometry-Aware Learning of Maps for Camera Localization", 2018, section 3.1: the pose loss of each
frame, and the same loss of the pair's relative pose. Here a pair's views are turned and moved each for itself, so the
relative pose is that of the two views that were made.
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
        self.TERMS = (*pose.TERMS, "moved", "turned")

    def forward(self, output: dict[str, torch.Tensor], labels: Labels) -> dict[str, torch.Tensor]:
        """The pose loss's terms; ``moved`` and ``turned`` are those of position and orientation between neighbours."""
        terms = self.pose(output, labels)
        position_P3, orientation_P4 = relative(output["position"], output["orientation"])
        predicted = {"position": position_P3, "orientation": orientation_P4}
        position_P3, orientation_P4 = relative(labels.position_B3, labels.orientation_B4)
        between = self.pose(predicted, Labels(position_P3, orientation_P4, None, labels.scene_B[: len(position_P3)]))
        loss = terms["loss"] + self.weight * between["loss"]
        return {**terms, "loss": loss, "moved": between["position"], "turned": between["orientation"]}


def relative(position_B3: torch.Tensor, orientation_B4: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """From the batch's first half to its second: position (B/2, 3) along the map's axes, and orientation (B/2, 4) of
    the second camera in the first's frame."""
    first_P3, second_P3 = position_B3.chunk(2)
    first_P4, second_P4 = orientation_B4.chunk(2)
    return second_P3 - first_P3, product(inverse(first_P4), second_P4)

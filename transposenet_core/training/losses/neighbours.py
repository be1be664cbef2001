"""Neighbouring frames that learn together: what the camera did between two of them is part of the loss.

Brahmbhatt et al., "Geometry-Aware Learning of Maps for Camera Localization", 2018, section 3.1: the pose loss of each
frame, and the same loss of the pair's relative pose. Here a pair's views are turned and moved each for itself, so the
relative pose is that of the two views that were made.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from transposenet_core.errors import UserError
from transposenet_core.geometry.pose_from_points import product

APART = 10  # training frames in the data set's order, as the source has it on 7-Scenes: a third of a second there


def pairs(counts: Sequence[int], generator: torch.Generator) -> torch.Tensor:
    """Places (M, 2) of pictures that stand `APART` apart in the data set's order, none of them twice.

    Where frames were held out, or a sequence ends, two may have been recorded further apart: their relative pose is as
    true.

    UserError where there is more than one scene, or no neighbour.
    """
    if len(counts) != 1 or counts[0] < 2:
        found = f"{len(counts)} scenes" if len(counts) != 1 else "one training frame"
        raise UserError(f"loss.neighbours is for one scene of at least 2 training frames, found {found}; set it to 0")
    (count,) = counts
    apart = min(APART, count // 2)
    # Every second stretch of the recording begins pairs and the next one ends them; where they begin is chance, so that
    # over the epochs every picture has a neighbour on either side.
    shift = int(torch.randint(2 * apart, (1,), generator=generator)) if count > 2 * apart else 0
    first_N = torch.arange(count - apart)
    first_M = first_N[(first_N + shift) // apart % 2 == 0]
    return torch.stack((first_M, first_M + apart), dim=1)


class NeighboursLoss(nn.Module):
    """A pose loss, and `weight` times the same loss of the relative poses of the batch's halves, whose rows are
    neighbours one by one."""

    def __init__(self, pose: Any, weight: float) -> None:
        super().__init__()
        self.pose, self.weight = pose, weight
        self.TERMS = (*pose.TERMS, "moved", "turned")

    def forward(
        self,
        output: dict[str, torch.Tensor],
        position_B3: torch.Tensor,
        orientation_B4: torch.Tensor,
        depth_BHW: torch.Tensor | None = None,
    ) -> dict[str, torch.Tensor]:
        """The pose loss's terms; ``moved`` and ``turned`` are those of position and orientation between neighbours."""
        terms = self.pose(output, position_B3, orientation_B4, depth_BHW)
        position_P3, orientation_P4 = relative(output["position"], output["orientation"])
        answered = {"position": position_P3, "orientation": orientation_P4}
        between = self.pose(answered, *relative(position_B3, orientation_B4))
        loss = terms["loss"] + self.weight * between["loss"]
        return {**terms, "loss": loss, "moved": between["position"], "turned": between["orientation"]}


def relative(position_B3: torch.Tensor, orientation_B4: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """From the batch's first half to its second: position (B/2, 3) along the map's axes, and orientation (B/2, 4) of
    the second camera in the first's frame."""
    first_P3, second_P3 = position_B3.chunk(2)
    first_P4, second_P4 = orientation_B4.chunk(2)
    return second_P3 - first_P3, product(first_P4 * first_P4.new_tensor([1.0, -1.0, -1.0, -1.0]), second_P4)

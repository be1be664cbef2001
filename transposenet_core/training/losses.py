"""The pose losses (TransPoseNet section 3.2, Eq. 3-5)."""

from __future__ import annotations

import torch
from torch import nn

TERMS = ("loss", "position", "orientation")


def pose_terms(
    output: dict[str, torch.Tensor], position_B3: torch.Tensor, orientation_B4: torch.Tensor
) -> dict[str, torch.Tensor]:
    """``position`` (metres, Eq. 3) and ``orientation`` (Eq. 4), each a mean over the batch.

    Eq. 4 is not blind to a quaternion's sign: labels have w >= 0, as :class:`Pose` holds them.
    """
    return {
        "position": torch.linalg.vector_norm(output["position"] - position_B3, dim=-1).mean(),
        "orientation": torch.linalg.vector_norm(output["orientation"] - orientation_B4, dim=-1).mean(),
    }


class LearnedWeightPoseLoss(nn.Module):
    """Eq. 5: L_x exp(-s_x) + s_x + L_q exp(-s_q) + s_q, with s_x and s_q learned and outside weight decay."""

    def __init__(self, s_position: float = 0.0, s_orientation: float = -3.0) -> None:
        super().__init__()
        self.s_position = nn.Parameter(torch.tensor(float(s_position)))
        self.s_orientation = nn.Parameter(torch.tensor(float(s_orientation)))

    def forward(
        self, output: dict[str, torch.Tensor], position_B3: torch.Tensor, orientation_B4: torch.Tensor
    ) -> dict[str, torch.Tensor]:
        """``loss`` beside the means of Eq. 3 and 4."""
        terms = pose_terms(output, position_B3, orientation_B4)
        loss = (
            terms["position"] * torch.exp(-self.s_position)
            + self.s_position
            + terms["orientation"] * torch.exp(-self.s_orientation)
            + self.s_orientation
        )
        return {"loss": loss, **terms}


class SingleHeadLoss(nn.Module):
    """Stage 2: Eq. 3 alone for the position head, Eq. 4 alone for the orientation head."""

    def __init__(self, term: str) -> None:
        super().__init__()
        self.term = term

    def forward(
        self, output: dict[str, torch.Tensor], position_B3: torch.Tensor, orientation_B4: torch.Tensor
    ) -> dict[str, torch.Tensor]:
        """``loss`` beside the means of Eq. 3 and 4."""
        terms = pose_terms(output, position_B3, orientation_B4)
        return {"loss": terms[self.term], **terms}

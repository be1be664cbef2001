"""The pose losses (TransPoseNet section 3.2, Eq. 3-5; PoseNet Eq. 2)."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import nn

from transposenet_core.training.losses.labels import Labels

POSE_TERMS = ("loss", "position", "orientation")
AUXILIARY_WEIGHT = 0.3


def rotation_distance(kind: str, first_B4: torch.Tensor, second_B4: torch.Tensor) -> torch.Tensor:
    """Distance between unit quaternions (..., 4), as `loss.rotation` names it: half of small angles, in radians.

    `quaternion` is Eq. 4, their distance; it depends on the sign of a quaternion: labels have w >= 0, as in
    :class:`Pose`. `sign_invariant` is the distance to the nearer of q and -q, `geodesic` half the angle itself.
    """
    same = torch.linalg.vector_norm(first_B4 - second_B4, dim=-1)
    if kind == "quaternion":
        return same
    other = torch.linalg.vector_norm(first_B4 + second_B4, dim=-1)
    nearer = torch.minimum(same, other)
    return nearer if kind == "sign_invariant" else 2 * torch.atan2(nearer, torch.maximum(same, other))


def pose_terms(
    output: dict[str, torch.Tensor],
    position_B3: torch.Tensor,
    orientation_B4: torch.Tensor,
    rotation: str = "quaternion",
) -> dict[str, torch.Tensor]:
    """``position`` (metres, Eq. 3) and ``orientation`` (see `rotation_distance`), each a mean over the batch."""
    return {
        "position": torch.linalg.vector_norm(output["position"] - position_B3, dim=-1).mean(),
        "orientation": rotation_distance(rotation, output["orientation"], orientation_B4).mean(),
    }


def with_auxiliary(
    terms: dict[str, torch.Tensor], output: dict[str, torch.Tensor], labels: Labels, rotation: str = "quaternion"
) -> dict[str, torch.Tensor]:
    """The terms and 0.3 of those of each auxiliary regressor, if a network returns ``auxiliary_position``
    (B, A, 3) and ``auxiliary_orientation`` (B, A, 4): GoogLeNet's weights, as in PoseNet."""
    if "auxiliary_position" not in output:
        return terms
    auxiliary = {name: output[f"auxiliary_{name}"] for name in ("position", "orientation")}
    more = pose_terms(auxiliary, labels.position_B3[:, None], labels.orientation_B4[:, None], rotation)
    count = auxiliary["position"].shape[1]
    return {name: terms[name] + AUXILIARY_WEIGHT * count * more[name] for name in terms}


class FixedWeightPoseLoss(nn.Module):
    """PoseNet's sum L_x + beta L_q (Kendall, Grimes, Cipolla, 2015, Eq. 2), beta from 120 to 750 indoors and from 250
    to 2000 outdoors (section 3.1)."""

    TERMS: ClassVar[tuple[str, ...]] = POSE_TERMS

    def __init__(self, beta: float, rotation: str = "quaternion") -> None:
        super().__init__()
        self.beta, self.rotation = beta, rotation

    def forward(self, output: dict[str, torch.Tensor], labels: Labels) -> dict[str, torch.Tensor]:
        """``loss`` beside the means of Eq. 3 and 4, which are those of the last regressor."""
        terms = pose_terms(output, labels.position_B3, labels.orientation_B4, self.rotation)
        weighed = with_auxiliary(terms, output, labels, self.rotation)
        return {"loss": weighed["position"] + self.beta * weighed["orientation"], **terms}


class LearnedWeightPoseLoss(nn.Module):
    """Eq. 5: L_x exp(-s_x) + s_x + L_q exp(-s_q) + s_q, with s_x and s_q learned and outside weight decay."""

    TERMS: ClassVar[tuple[str, ...]] = POSE_TERMS

    def __init__(self, s_position: float = 0.0, s_orientation: float = -3.0, rotation: str = "quaternion") -> None:
        super().__init__()
        self.rotation = rotation
        self.s_position = nn.Parameter(torch.tensor(float(s_position)))
        self.s_orientation = nn.Parameter(torch.tensor(float(s_orientation)))

    def forward(self, output: dict[str, torch.Tensor], labels: Labels) -> dict[str, torch.Tensor]:
        """``loss`` beside the means of Eq. 3 and 4."""
        terms = pose_terms(output, labels.position_B3, labels.orientation_B4, self.rotation)
        weighed = with_auxiliary(terms, output, labels, self.rotation)
        loss = (
            weighed["position"] * torch.exp(-self.s_position)
            + self.s_position
            + weighed["orientation"] * torch.exp(-self.s_orientation)
            + self.s_orientation
        )
        return {"loss": loss, **terms}


class SingleHeadLoss(nn.Module):
    """Stage 2: Eq. 3 alone for the position head, Eq. 4 alone for the orientation head."""

    TERMS: ClassVar[tuple[str, ...]] = POSE_TERMS

    def __init__(self, term: str, rotation: str = "quaternion") -> None:
        super().__init__()
        self.term, self.rotation = term, rotation

    def forward(self, output: dict[str, torch.Tensor], labels: Labels) -> dict[str, torch.Tensor]:
        """``loss`` beside the means of Eq. 3 and 4."""
        terms = pose_terms(output, labels.position_B3, labels.orientation_B4, self.rotation)
        return {"loss": terms[self.term], **terms}

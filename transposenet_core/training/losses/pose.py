"""The pose losses (TransPoseNet section 3.2, Eq. 3-5; PoseNet Eq. 2) and the loss of scene coordinates.

A loss takes a network's output and what the views show: position (B, 3), orientation (B, 4), and where the scene has
depth the views' ``depth_BHW`` in metres, 0 where it is not known. ``TERMS`` names what it returns.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import torch
from torch import nn

from transposenet_core.training.config import LossConfig
from transposenet_core.training.losses.neighbours import NeighboursLoss
from transposenet_core.training.losses.points import AuxiliaryPointsLoss, SeenPoints
from transposenet_core.training.losses.scenes import SceneLoss

POSE_TERMS = ("loss", "position", "orientation")
AUXILIARY_WEIGHT = 0.3


def rotation_distance(kind: str, first_B4: torch.Tensor, second_B4: torch.Tensor) -> torch.Tensor:
    """Between unit quaternions (..., 4), as `loss.rotation` names it: of small angles the half, in radians.

    `quaternion` is Eq. 4, their distance; it is not blind to a quaternion's sign: labels have w >= 0, as :class:`Pose`
    holds them. `sign_invariant` is the distance to the nearer of q and -q, `geodesic` half the angle itself.
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
    terms: dict[str, torch.Tensor],
    output: dict[str, torch.Tensor],
    position_B3: torch.Tensor,
    orientation_B4: torch.Tensor,
    rotation: str = "quaternion",
) -> dict[str, torch.Tensor]:
    """The terms and 0.3 of those of each auxiliary regressor, where a network answers ``auxiliary_position``
    (B, A, 3) and ``auxiliary_orientation`` (B, A, 4): GoogLeNet's weights, which PoseNet keeps."""
    if "auxiliary_position" not in output:
        return terms
    auxiliary = {name: output[f"auxiliary_{name}"] for name in ("position", "orientation")}
    more = pose_terms(auxiliary, position_B3[:, None], orientation_B4[:, None], rotation)
    count = auxiliary["position"].shape[1]
    return {name: terms[name] + AUXILIARY_WEIGHT * count * more[name] for name in terms}


class FixedWeightPoseLoss(nn.Module):
    """PoseNet's sum L_x + beta L_q (Kendall, Grimes, Cipolla, 2015, Eq. 2), beta from 120 to 750 indoors and from 250
    to 2000 outdoors (section 3.1)."""

    TERMS: ClassVar[tuple[str, ...]] = POSE_TERMS

    def __init__(self, beta: float, rotation: str = "quaternion") -> None:
        super().__init__()
        self.beta, self.rotation = beta, rotation

    def forward(
        self,
        output: dict[str, torch.Tensor],
        position_B3: torch.Tensor,
        orientation_B4: torch.Tensor,
        depth_BHW: torch.Tensor | None = None,
    ) -> dict[str, torch.Tensor]:
        """``loss`` beside the means of Eq. 3 and 4, which are those of the last regressor."""
        terms = pose_terms(output, position_B3, orientation_B4, self.rotation)
        weighed = with_auxiliary(terms, output, position_B3, orientation_B4, self.rotation)
        return {"loss": weighed["position"] + self.beta * weighed["orientation"], **terms}


class LearnedWeightPoseLoss(nn.Module):
    """Eq. 5: L_x exp(-s_x) + s_x + L_q exp(-s_q) + s_q, with s_x and s_q learned and outside weight decay."""

    TERMS: ClassVar[tuple[str, ...]] = POSE_TERMS

    def __init__(self, s_position: float = 0.0, s_orientation: float = -3.0, rotation: str = "quaternion") -> None:
        super().__init__()
        self.rotation = rotation
        self.s_position = nn.Parameter(torch.tensor(float(s_position)))
        self.s_orientation = nn.Parameter(torch.tensor(float(s_orientation)))

    def forward(
        self,
        output: dict[str, torch.Tensor],
        position_B3: torch.Tensor,
        orientation_B4: torch.Tensor,
        depth_BHW: torch.Tensor | None = None,
    ) -> dict[str, torch.Tensor]:
        """``loss`` beside the means of Eq. 3 and 4."""
        terms = pose_terms(output, position_B3, orientation_B4, self.rotation)
        weighed = with_auxiliary(terms, output, position_B3, orientation_B4, self.rotation)
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

    def forward(
        self,
        output: dict[str, torch.Tensor],
        position_B3: torch.Tensor,
        orientation_B4: torch.Tensor,
        depth_BHW: torch.Tensor | None = None,
    ) -> dict[str, torch.Tensor]:
        """``loss`` beside the means of Eq. 3 and 4."""
        terms = pose_terms(output, position_B3, orientation_B4, self.rotation)
        return {"loss": terms[self.term], **terms}


class SceneCoordinateLoss(nn.Module):
    """How unlikely the true points and depths are under what each cell says, as Laplace's distribution has it.

    ``|p - p*| exp(-s) + 3 s`` of a point and ``|z - z*| exp(-s_z) + s_z`` of its depth, with the scales that the cell
    itself answers (Kendall and Gal, "What uncertainties do we need in Bayesian deep learning for computer vision?",
    2017, section 3.1, for a Laplace likelihood), over the cells whose depth is known.
    """

    TERMS: ClassVar[tuple[str, ...]] = ("loss", "points", "depth")

    def __init__(self, cells_N2: torch.Tensor, rays_N3: torch.Tensor) -> None:
        """`cells_N2` are the cells' centres in the view's pixels, `rays_N3` their directions with z = 1."""
        super().__init__()
        self.seen = SeenPoints(cells_N2, rays_N3)

    def forward(
        self,
        output: dict[str, torch.Tensor],
        position_B3: torch.Tensor,
        orientation_B4: torch.Tensor,
        depth_BHW: torch.Tensor | None = None,
    ) -> dict[str, torch.Tensor]:
        """``loss``, and the mean distances of ``points`` and ``depth`` from the true ones in metres."""
        true_BN3, z_BN, known_BN = self.seen(position_B3, orientation_B4, depth_BHW)
        count = known_BN.sum().clamp(min=1)
        points_BN = torch.linalg.vector_norm(output["points"] - true_BN3, dim=-1) * known_BN
        depth_BN = (output["depth"] - z_BN).abs() * known_BN
        scale_BN, depth_scale_BN = output["log_scale"] * known_BN, output["depth_log_scale"] * known_BN
        loss = points_BN * torch.exp(-scale_BN) + 3 * scale_BN + depth_BN * torch.exp(-depth_scale_BN) + depth_scale_BN
        return {"loss": loss.sum() / count, "points": points_BN.sum() / count, "depth": depth_BN.sum() / count}


class NoLoss(nn.Module):
    """Of a network that memorises its training pictures instead of learning by gradient."""

    TERMS: ClassVar[tuple[str, ...]] = ()


def pose_loss(config: LossConfig, network: Any, neighbours: bool = False) -> nn.Module:
    """The configured weighting of position and orientation, and what is learnt beside them; `neighbours` says whether
    the rows of a batch's halves are."""
    pose: nn.Module
    if config.beta > 0:
        pose = FixedWeightPoseLoss(config.beta, config.rotation)
    else:
        pose = LearnedWeightPoseLoss(config.s_position, config.s_orientation, config.rotation)
    if neighbours:
        pose = NeighboursLoss(pose, config.neighbours)
    return AuxiliaryPointsLoss(pose, network, config.points) if config.points > 0 else pose


# What a model's class may name as its LOSS; each is made from the configuration and the network.
LOSSES: dict[str, Callable[[LossConfig, Any], nn.Module]] = {
    "pose": lambda config, network: pose_loss(config, network, neighbours=config.neighbours > 0),
    "scenes": lambda config, network: SceneLoss(pose_loss(config, network), network),
    "none": lambda _, __: NoLoss(),
    "scene_coordinates": lambda _, network: SceneCoordinateLoss(network.cells(), network.ray_cells_N3),
}

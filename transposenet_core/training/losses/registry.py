"""Losses by the name that a model's class gives as its ``LOSS``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from torch import nn

from transposenet_core.training.config import LossConfig
from transposenet_core.training.losses.neighbours import NeighboursLoss
from transposenet_core.training.losses.points import AuxiliaryPointsLoss, SceneCoordinateLoss
from transposenet_core.training.losses.pose import FixedWeightPoseLoss, LearnedWeightPoseLoss
from transposenet_core.training.losses.scenes import SceneLoss


class NoLoss(nn.Module):
    """No loss, for a network that memorises its training images instead of learning by gradient."""

    TERMS: ClassVar[tuple[str, ...]] = ()


def pose_loss(config: LossConfig, network: Any, neighbours: bool = False) -> nn.Module:
    """The configured weighting of position and orientation, and the additional terms; with `neighbours` the rows of
    a batch's halves are neighbours."""
    pose: nn.Module
    if config.beta > 0:
        pose = FixedWeightPoseLoss(config.beta, config.rotation)
    else:
        pose = LearnedWeightPoseLoss(config.s_position, config.s_orientation, config.rotation)
    if neighbours:
        pose = NeighboursLoss(pose, config.neighbours)
    return AuxiliaryPointsLoss(pose, network, config.points) if config.points > 0 else pose


# The possible LOSS of a model's class; each is built from the configuration and the network.
LOSSES: dict[str, Callable[[LossConfig, Any], nn.Module]] = {
    "pose": lambda config, network: pose_loss(config, network, neighbours=config.neighbours > 0),
    "scenes": lambda config, network: SceneLoss(pose_loss(config, network), network),
    "none": lambda _, __: NoLoss(),
    "scene_coordinates": lambda _, network: SceneCoordinateLoss(network),
}

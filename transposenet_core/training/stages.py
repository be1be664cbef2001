"""The stages of a training (TransPoseNet section 4): everything by Eq. 5, then each head alone by its own loss."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from transposenet_core.errors import UserError
from transposenet_core.models import default_options, model_class, names_where
from transposenet_core.scene_model import SceneModel
from transposenet_core.training.config import ScheduleConfig, TrainConfig
from transposenet_core.training.losses.pose import SingleHeadLoss
from transposenet_core.training.losses.registry import LOSSES


@dataclass(frozen=True)
class Stage:
    """What is trained (`all`, or one head by name), for how many epochs and at which rate."""

    learns: str
    epochs: int
    learning_rate: float
    weight_decay: float
    schedule: ScheduleConfig
    position_prior: bool = False
    prior_option: str = ""

    def options(self, options: dict) -> dict:
        """The model's options in this stage; `position_prior` sets the model's `PRIOR_OPTION`."""
        return {**options, self.prior_option: True} if self.position_prior else options

    def build_loss(self, config: TrainConfig, network: Any) -> nn.Module:
        """What the stage minimises: the loss that the network's class names as its ``LOSS`` (a key of `LOSSES`); in a
        second stage that of one head."""
        if self.learns != "all":
            return SingleHeadLoss(self.learns.removesuffix("_head"), config.loss.rotation)
        if self.neighbours(config) and network.LOSS != "pose":
            raise UserError(
                f"loss.neighbours is {config.loss.neighbours:g}, but model '{config.model.name}' is not trained with "
                "the loss of one pose in one scene; set it to 0"
            )
        return LOSSES[network.LOSS](config.loss, network)

    def neighbours(self, config: TrainConfig) -> bool:
        """Whether the halves of a batch are neighbours."""
        return self.learns == "all" and config.loss.neighbours > 0

    def freeze(self, network: nn.Module) -> None:
        """Enable gradients for what the stage trains, and for nothing else."""
        network.requires_grad_(self.learns == "all")
        if self.learns != "all":
            getattr(network, self.learns).requires_grad_(True)

    def train_mode(self, network: nn.Module) -> None:
        """A frozen backbone runs as at inference: no dropout, batch statistics as learnt."""
        network.train(self.learns == "all")
        if self.learns != "all":
            getattr(network, self.learns).train()


def plan(config: TrainConfig) -> list[Stage]:
    """The stages with at least one epoch. UserError if there is none, or the model has no heads to train alone."""
    first, model = config.optimizer, model_class(config.model.name)
    stages = [Stage("all", config.epochs, first.learning_rate, first.weight_decay, config.schedule)]
    heads = config.heads
    flat = ScheduleConfig(kind="step", step_epochs=max(heads.epochs, 1))  # the paper gives no steps for stage 2
    if heads.epochs > 0 and not model.HEADS:
        able = ", ".join(names_where(lambda each: bool(each.HEADS)))
        raise UserError(
            f"heads.epochs is above 0, but model '{config.model.name}' has no heads to train alone ({able} have); set "
            "it to 0"
        )
    prior = heads.position_prior, model.PRIOR_OPTION
    for name in model.HEADS:
        stages.append(Stage(name, heads.epochs, heads.learning_rate, heads.weight_decay, flat, *prior))
    stages = [stage for stage in stages if stage.epochs > 0]
    if config.start_from and config.backbone.weights != "none":
        raise UserError(
            "start_from and backbone.weights are both given, but a scene model has its own backbone; leave one out"
        )
    if not stages:
        raise UserError("epochs and heads.epochs are both 0, at least one of them must be above 0")
    if stages[0].learns != "all" and not config.start_from:
        raise UserError("epochs is 0 and start_from is empty: stage 2 alone needs the scene model of a stage 1")
    return stages


def load_start(network: Any, options: dict, path: str | Path) -> None:
    """Put a scene model's weights into a network that was built with `options`, converted by `earlier_state`.
    UserError if they do not fit."""
    start = SceneModel.load(path)
    state = network.earlier_state(start.network.state_dict())
    wanted = network.state_dict()
    wrong = [key for key in wanted if key not in state or state[key].shape != wanted[key].shape]
    if wrong or len(state) != len(wanted):
        detail = f"'{wrong[0]}' is {tuple(wanted[wrong[0]].shape)} here" if wrong else "it has more tensors"
        raise UserError(
            f"{path}: its network does not fit the configured one ({detail}); set model and image as in its training"
        )
    for name in network.SILENT_OPTIONS:  # differences with which the weights load, but compute something else
        before = default_options(start.architecture)[name]  # in a scene model from before the option existed
        if (have := start.options.get(name, before)) != (needed := options.get(name)):
            raise UserError(
                f"{path}: trained with {have} {name}, {needed} are configured; give model.options.{name}={have}"
            )
    network.load_state_dict(state)

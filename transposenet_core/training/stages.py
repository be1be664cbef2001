"""The stages of a training (TransPoseNet section 4): everything by Eq. 5, then each head alone by its own loss."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from transposenet_core.errors import UserError
from transposenet_core.models import model_class, names_where
from transposenet_core.scene_model import SceneModel
from transposenet_core.training.config import ScheduleConfig, TrainConfig
from transposenet_core.training.losses.pose import SingleHeadLoss
from transposenet_core.training.losses.registry import LOSSES


@dataclass(frozen=True)
class Stage:
    """What is learnt (`all`, or one head by name), for how long and how fast."""

    learns: str
    epochs: int
    learning_rate: float
    weight_decay: float
    schedule: ScheduleConfig
    position_prior: bool = False
    prior_option: str = ""

    def options(self, options: dict) -> dict:
        """The model's options in this stage; `position_prior` is the model's own option for it."""
        return {**options, self.prior_option: True} if self.position_prior else options

    def build_loss(self, config: TrainConfig, network: Any) -> nn.Module:
        """What the stage minimises: the loss that the network's class names as its ``LOSS`` (a key of `LOSSES`); of one
        head alone in a second stage."""
        if self.learns != "all":
            return SingleHeadLoss(self.learns.removesuffix("_head"), config.loss.rotation)
        if self.neighbours(config) and network.LOSS != "pose":
            raise UserError(
                f"loss.neighbours is {config.loss.neighbours:g}, but model '{config.model.name}' does not learn by the "
                "loss of one pose in one scene; set it to 0"
            )
        return LOSSES[network.LOSS](config.loss, network)

    def neighbours(self, config: TrainConfig) -> bool:
        """Whether a batch's halves are neighbours."""
        return self.learns == "all" and config.loss.neighbours > 0

    def freeze(self, network: nn.Module) -> None:
        """Let gradients reach what the stage learns, and nothing else."""
        network.requires_grad_(self.learns == "all")
        if self.learns != "all":
            getattr(network, self.learns).requires_grad_(True)

    def train_mode(self, network: nn.Module) -> None:
        """A frozen trunk runs as it will on the robot: no dropout, batch statistics as learnt."""
        network.train(self.learns == "all")
        if self.learns != "all":
            getattr(network, self.learns).train()


def plan(config: TrainConfig) -> list[Stage]:
    """The stages with at least one epoch. UserError where there is none, or the model has no heads to train alone."""
    first, model = config.optimizer, model_class(config.model.name)
    stages = [Stage("all", config.epochs, first.learning_rate, first.weight_decay, config.schedule)]
    heads = config.heads
    flat = ScheduleConfig(kind="step", step_epochs=max(heads.epochs, 1))  # the paper names no steps for stage 2
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
        raise UserError("start_from and backbone.weights are both given: a scene model brings its own backbone")
    if not stages:
        raise UserError("epochs and heads.epochs are both 0, at least one of them must be above")
    if stages[0].learns != "all" and not config.start_from:
        raise UserError("epochs is 0 and start_from is empty: stage 2 alone needs the scene model of a stage 1")
    return stages


def load_start(network: Any, options: dict, path: str | Path) -> None:
    """Put a scene model's weights into a network that was built with `options`, as it takes them (`earlier_state`).
    UserError where they do not fit."""
    start = SceneModel.load(path)
    state = network.earlier_state(start.network.state_dict())
    wanted = network.state_dict()
    wrong = [key for key in wanted if key not in state or state[key].shape != wanted[key].shape]
    if wrong or len(state) != len(wanted):
        detail = f"'{wrong[0]}' is {tuple(wanted[wrong[0]].shape)} here" if wrong else "it has more tensors"
        raise UserError(
            f"{path}: its network does not fit the configured one ({detail}); give model and image as it was trained"
        )
    for name in network.SILENT_OPTIONS:  # the differences that would load and mean something else
        if (have := start.options.get(name)) != (needed := options.get(name)):
            raise UserError(
                f"{path}: trained with {have} {name}, {needed} are configured; give model.options.{name}={have}"
            )
    network.load_state_dict(state)

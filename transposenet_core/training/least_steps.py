"""Longer trainings for fewer frames: a network needs steps, and a preset counts epochs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from transposenet_core.scene import Scene
from transposenet_core.training.config import TrainConfig


def with_least_steps(config: TrainConfig, scenes: Sequence[Scene]) -> TrainConfig:
    """The configuration with epochs, schedule and validations stretched alike so that stage 1 has `least_steps`.

    Unchanged where the training frames of `scenes` make as many steps as that.
    """
    counts = [sum(image.split == "train" for image in scene.images) for scene in scenes]
    steps = math.ceil(len(counts) * max(counts) / config.batch_size)
    if config.epochs == 0 or steps == 0 or config.epochs * steps >= config.least_steps:
        return config
    epochs = math.ceil(config.least_steps / steps)
    factor = epochs / config.epochs
    schedule = replace(
        config.schedule,
        step_epochs=max(1, round(config.schedule.step_epochs * factor)),
        warmup_epochs=config.schedule.warmup_epochs * factor,
    )
    every = max(1, round(config.validate_every * factor))
    return replace(config, epochs=epochs, schedule=schedule, validate_every=every)


def stretched_sentence(before: TrainConfig, after: TrainConfig) -> str:
    """What `with_least_steps` changed; "" for nothing."""
    if before == after:
        return ""
    return (
        f"{after.epochs} epochs instead of {before.epochs}: with so few training frames that makes the "
        f"{before.least_steps} steps that a scene takes (epochs=N sets another number)"
    )

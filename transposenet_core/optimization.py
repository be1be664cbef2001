"""Optimizer and learning-rate schedule of a training run."""

from __future__ import annotations

import math

import torch
from torch import nn

from transposenet_core.config import OptimizerConfig, ScheduleConfig


def build_optimizer(network: nn.Module, loss: nn.Module, config: OptimizerConfig) -> torch.optim.Adam:
    """Adam as in TransPoseNet section 4; the loss's own s_x and s_q are left out of weight decay."""
    groups = [
        {"params": list(network.parameters()), "weight_decay": config.weight_decay},
        {"params": list(loss.parameters()), "weight_decay": 0.0},
    ]
    return torch.optim.Adam(groups, lr=config.learning_rate, betas=(0.9, 0.999), eps=config.eps, fused=True)


def rate_factor(epoch: float, epochs: int, config: ScheduleConfig) -> float:
    """The learning rate's factor at a (fractional) epoch: linear warm-up, then steps or a half cosine."""
    if epoch < config.warmup_epochs:
        return (epoch + 1e-3) / config.warmup_epochs
    if config.kind == "step":
        return config.step_factor ** int(epoch // config.step_epochs)
    done = (epoch - config.warmup_epochs) / max(epochs - config.warmup_epochs, 1e-9)
    return 0.5 * (1 + math.cos(math.pi * min(done, 1.0)))


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    for group in optimizer.param_groups:
        group["lr"] = rate

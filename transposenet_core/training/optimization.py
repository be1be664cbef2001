"""Optimizer and learning-rate schedule of a stage."""

from __future__ import annotations

import math

import torch
from torch import nn

from transposenet_core.training.config import ScheduleConfig
from transposenet_core.training.stages import Stage


def build_optimizer(
    network: nn.Module, loss: nn.Module, stage: Stage, eps: float, device: torch.device
) -> torch.optim.Adam:
    """Adam (TransPoseNet section 4) over what the stage learns; the loss's s_x and s_q are left out of weight decay."""
    learnt = [parameter for parameter in network.parameters() if parameter.requires_grad]
    groups = [{"params": learnt, "weight_decay": stage.weight_decay}]
    if weights := list(loss.parameters()):
        groups.append({"params": weights, "weight_decay": 0.0})
    # On CUDA the rate is a tensor: a recorded step reads it anew each time it is replayed.
    rate = torch.tensor(stage.learning_rate, device=device) if device.type == "cuda" else stage.learning_rate
    return torch.optim.Adam(groups, lr=rate, betas=(0.9, 0.999), eps=eps, fused=True, capturable=device.type == "cuda")


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
        if isinstance(group["lr"], torch.Tensor):
            group["lr"].fill_(rate)
        else:
            group["lr"] = rate

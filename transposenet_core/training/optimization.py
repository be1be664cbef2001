"""Optimizer and learning-rate schedule of a stage."""

from __future__ import annotations

import math

import torch
from torch import nn

from transposenet_core.training.config import OptimizerConfig, ScheduleConfig
from transposenet_core.training.stages import Stage


def build_optimizer(
    network: nn.Module, loss: nn.Module, stage: Stage, config: OptimizerConfig, device: torch.device
) -> torch.optim.Adam:
    """Adam (TransPoseNet section 4) or AdamW for the parameters of the stage.

    Adam's decay is on everything but the parameters of the loss, such as s_x and s_q; AdamW's on matrices and kernels
    only, not on biases, norms, position tables and tokens (as in Dosovitskiy et al., 2021, and most later work).
    """
    learnt = [parameter for parameter in network.parameters() if parameter.requires_grad]
    decayed = learnt if config.kind == "adam" else [p for p in weights(network) if p.requires_grad]
    chosen = {id(parameter) for parameter in decayed}
    others = [p for p in [*learnt, *loss.parameters()] if id(p) not in chosen]
    groups = [{"params": decayed, "weight_decay": stage.weight_decay}]
    if others:
        groups.append({"params": others, "weight_decay": 0.0})
    # On CUDA the rate is a tensor: a recorded step reads it at every replay.
    rate = torch.tensor(stage.learning_rate, device=device) if device.type == "cuda" else stage.learning_rate
    optimizer = torch.optim.Adam if config.kind == "adam" else torch.optim.AdamW
    return optimizer(groups, lr=rate, betas=(0.9, 0.999), eps=config.eps, fused=True, capturable=device.type == "cuda")


def weights(network: nn.Module) -> list[nn.Parameter]:
    """The matrices and kernels of a network's layers."""
    layers = [m for m in network.modules() if isinstance(m, (nn.Linear, nn.modules.conv._ConvNd, nn.RNNBase))]
    return [p for layer in layers for p in layer.parameters(recurse=False) if p.dim() > 1]


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

"""A moving average of a network's weights, which is validated and saved in place of the weights themselves."""

from __future__ import annotations

import copy

import torch
from torch import nn


class MovingAverage:
    """theta_avg <- d theta_avg + (1 - d) theta after every step; d rises to `decay`, so that the start is forgotten.

    torch's own AveragedModel asks the device for its step count at every update, which stops a CUDA stream.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.network = copy.deepcopy(network).eval().requires_grad_(False)
        self.decay, self.steps = decay, 0

    @torch.no_grad()
    def update(self, network: nn.Module) -> None:
        self.steps += 1
        decay = min(self.decay, (1 + self.steps) / (10 + self.steps))
        torch._foreach_lerp_(list(self.network.parameters()), list(network.parameters()), 1 - decay)
        for mine, theirs in zip(self.network.buffers(), network.buffers(), strict=True):
            mine.copy_(theirs)

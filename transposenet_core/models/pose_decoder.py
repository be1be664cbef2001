"""The image of a pose, decoded from an auto-encoder's latents (camera pose auto-encoders, image reconstruction).

Shavit, Keller, "Camera pose auto-encoders for improving pose regression", 2022.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

SIZE = 64  # pixels of a reconstructed image's sides
HIDDEN = (512, 1024, 2048)


class PoseDecoder(nn.Sequential):
    """Both latents of a pose (B, `width`) to its image (B, 3, 64, 64): RGB from 0 to 1, the window made square."""

    def __init__(self, width: int) -> None:
        layers: list[nn.Module] = []
        for wide in HIDDEN:
            layers += [nn.Linear(width, wide), nn.ReLU(inplace=True)]
            width = wide
        super().__init__(*layers, nn.Linear(width, 3 * SIZE * SIZE), nn.Sigmoid(), nn.Unflatten(1, (3, SIZE, SIZE)))

    @torch.no_grad()
    def start_from(self, mean_3HW: torch.Tensor) -> None:
        """Make the untrained decoder return approximately the mean of the training images."""
        last: Any = self[-3]
        last.bias.copy_(torch.logit(mean_3HW, eps=0.02).flatten())

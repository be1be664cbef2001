"""ResNet-50 as a backbone: torchvision's network, cut after the last reduction level in use."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import nn

from transposenet_core.models.torchvision_models import torchvision_model


class ResNetEndpoints(nn.Module):
    """Activation maps of ResNet-50 at chosen reduction levels (level k has 1/2^k of the image's size).

    He, Zhang, Ren, Sun, "Deep Residual Learning for Image Recognition", Table 1: the stem is level 1, conv2_x to
    conv5_x (torchvision's layer1 to layer4) are levels 2 to 5. ``channels[level]`` is the depth of a level's map.
    Raises UserError if torchvision cannot be imported.
    """

    # Names in torchvision's network and its published weights, and ours.
    PUBLISHED_NAMES: ClassVar[dict[str, str]] = {"conv1": "stem", "bn1": "stem_norm"} | {
        f"layer{i}": f"stages.{i - 1}" for i in range(1, 5)
    }

    def __init__(self, levels: tuple[int, ...] = (3, 4)) -> None:
        super().__init__()
        if not set(levels) <= set(range(1, 6)):
            raise ValueError(f"reduction levels {levels} asked for, resnet50 has 1 to 5")
        whole = torchvision_model("resnet50", "resnet50", "efficientnet-b0 or efficientnet-b1")
        self.levels = tuple(sorted(levels))
        self.stem, self.stem_norm, self.activation, self.pool = whole.conv1, whole.bn1, whole.relu, whole.maxpool
        stages = (whole.layer1, whole.layer2, whole.layer3, whole.layer4)
        self.stages = nn.ModuleList(stages[: self.levels[-1] - 1])
        depths = [whole.bn1.num_features, *(stage[-1].bn3.num_features for stage in stages)]
        self.channels = {level: depths[level - 1] for level in self.levels}

    def forward(self, image_B3HW: torch.Tensor) -> dict[int, torch.Tensor]:
        """Level -> map (B, C, ceil(H / 2^level), ceil(W / 2^level))."""
        x = self.activation(self.stem_norm(self.stem(image_B3HW)))
        maps = {1: x}
        for level, stage in enumerate(self.stages, start=2):
            x = stage(self.pool(x) if level == 2 else x)
            maps[level] = x
        return {level: maps[level] for level in self.levels}

"""GoogLeNet as PoseNet's backbone: without batch norm, as in 2015, and torchvision's, which has it."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import nn

from transposenet_core.models.torchvision_models import torchvision_model
from transposenet_core.preprocessing import IMAGENET_MEAN, IMAGENET_STD

# Szegedy et al., "Going deeper with convolutions", 2015, Table 1. Of each inception block: channels in, of the 1x1
# branch, of the 3x3 branch (reduced to, then), of the 5x5 branch (reduced to, then), of the pooled branch.
BLOCKS = {
    "3a": (192, 64, (96, 128), (16, 32), 32),
    "3b": (256, 128, (128, 192), (32, 96), 64),
    "4a": (480, 192, (96, 208), (16, 48), 64),
    "4b": (512, 160, (112, 224), (24, 64), 64),
    "4c": (512, 128, (128, 256), (24, 64), 64),
    "4d": (512, 112, (144, 288), (32, 64), 64),
    "4e": (528, 256, (160, 320), (32, 128), 128),
    "5a": (832, 256, (160, 320), (32, 128), 128),
    "5b": (832, 384, (192, 384), (48, 128), 128),
}
POOLED = ("3b", "4e")  # a 3x3 max pool of stride 2 follows
CHANNELS = {"4a": 512, "4d": 528, "5b": 1024}  # where PoseNet's three regressors begin


def _convolution(channels: int, out: int, size: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(channels, out, size, padding=size // 2), nn.ReLU(inplace=True))


class Inception(nn.Module):
    """Four branches side by side: 1x1, 3x3, 5x5 and pooled; their maps are stacked."""

    def __init__(self, channels: int, x1: int, x3: tuple[int, int], x5: tuple[int, int], pooled: int) -> None:
        super().__init__()
        self.x1 = _convolution(channels, x1, 1)
        self.x3 = nn.Sequential(_convolution(channels, x3[0], 1), _convolution(*x3, 3))
        self.x5 = nn.Sequential(_convolution(channels, x5[0], 1), _convolution(*x5, 5))
        self.pooled = nn.Sequential(nn.MaxPool2d(3, 1, 1), _convolution(channels, pooled, 1))

    def forward(self, x_BCHW: torch.Tensor) -> torch.Tensor:
        return torch.cat((self.x1(x_BCHW), self.x3(x_BCHW), self.x5(x_BCHW), self.pooled(x_BCHW)), dim=1)


class GoogLeNet(nn.Module):
    """Activation maps after the blocks 4a, 4d (1/16 of the image's size) and 5b (1/32); ``channels[block]`` deep.

    Convolutions are initialised as in He et al., "Delving deep into rectifiers", 2015, Eq. 10: 22 layers without batch
    norm learn nothing from PyTorch's default initialisation, with which each layer halves its input.
    """

    PUBLISHED_NAMES: ClassVar[dict[str, str]] = {}

    def __init__(self) -> None:
        super().__init__()
        self.channels = dict(CHANNELS)
        self.stem = nn.Sequential(
            nn.Conv2d(3, 64, 7, stride=2, padding=3),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(3, 2, 1),
            nn.LocalResponseNorm(5),  # alpha 1e-4, beta 0.75
            _convolution(64, 64, 1),
            _convolution(64, 192, 3),
            nn.LocalResponseNorm(5),
            nn.MaxPool2d(3, 2, 1),
        )
        self.blocks = nn.ModuleDict({name: Inception(*shape) for name, shape in BLOCKS.items()})
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
                nn.init.zeros_(module.bias)  # type: ignore[arg-type]

    def forward(self, image_B3HW: torch.Tensor) -> dict[str, torch.Tensor]:
        """Block -> map (B, C, H / 16, W / 16), of 5b (B, C, H / 32, W / 32), each halving rounded up."""
        x, maps = self.stem(image_B3HW), {}
        for name, block in self.blocks.items():
            x = block(x)
            if name in CHANNELS:
                maps[name] = x
            if name in POOLED:
                x = F.max_pool2d(x, 3, 2, 1)
        return maps


def from_minus_1_to_1(image_B3HW: torch.Tensor) -> torch.Tensor:
    """Images normalised by ImageNet's moments, as `preprocessing.normalise` leaves them, to pixels from -1 to 1."""
    mean, std = (image_B3HW.new_tensor(moment).view(1, 3, 1, 1) for moment in (IMAGENET_MEAN, IMAGENET_STD))
    return 2 * (image_B3HW * std + mean) - 1


class TorchvisionGoogLeNet(nn.Module):
    """The same maps of torchvision's GoogLeNet: with batch norm, and 3x3 where the paper has 5x5.

    Its published weights were trained on pixels from -1 to 1 (torchvision's ``transform_input``), so it
    receives these. Raises UserError if torchvision cannot be imported.
    """

    PUBLISHED_NAMES: ClassVar[dict[str, str]] = {
        name: f"parts.{name}" for name in ("conv1", "conv2", "conv3", *(f"inception{block}" for block in BLOCKS))
    }

    def __init__(self) -> None:
        super().__init__()
        whole: Any = torchvision_model("googlenet", "googlenet_tv", "googlenet", aux_logits=False, init_weights=False)
        self.channels = dict(CHANNELS)
        pools = {"conv1": "maxpool1", "conv3": "maxpool2", "inception3b": "maxpool3", "inception4e": "maxpool4"}
        self.parts = nn.ModuleDict({name: getattr(whole, name) for name in self.PUBLISHED_NAMES})
        self.pools = nn.ModuleDict({name: getattr(whole, pool) for name, pool in pools.items()})

    def forward(self, image_B3HW: torch.Tensor) -> dict[str, torch.Tensor]:
        """As `GoogLeNet.forward`; each halving rounds as torchvision's does."""
        x, maps = from_minus_1_to_1(image_B3HW), {}
        for name, part in self.parts.items():
            x = part(x)
            if (block := name.removeprefix("inception")) in CHANNELS:
                maps[block] = x
            if name in self.pools:
                x = self.pools[name](x)
        return maps

"""Backbones by name; EfficientNet, cut after the last end point in use: 4.4 of B0's 5.3 M parameters are never used."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar

import torch
from efficientnet_pytorch import EfficientNet
from torch import nn

from transposenet_core.models.resnet import ResNetEndpoints
from transposenet_core.models.same_padding import pad_in_convolutions


class EfficientNetEndpoints(nn.Module):
    """Activation maps of EfficientNet at chosen reduction levels (level k has 1/2^k of the image's size).

    Built from scratch by efficientnet-pytorch. ``channels[level]`` is the depth of a level's map.
    """

    # Names of efficientnet-pytorch's network, as its published weights have them, and ours.
    PUBLISHED_NAMES: ClassVar[dict[str, str]] = {"_conv_stem": "stem", "_bn0": "stem_norm", "_blocks": "blocks"}

    def __init__(
        self, name: str = "efficientnet-b0", levels: tuple[int, ...] = (3, 4), drop_connect: float = 0.2
    ) -> None:
        super().__init__()
        if not 0 <= drop_connect < 1:
            raise ValueError(f"drop_connect is {drop_connect}, at least 0 and below 1 is allowed")
        # image_size=None: "same" padding from the actual size, where the package would fix it for 224 x 224.
        whole = EfficientNet.from_name(name, image_size=None)
        whole.set_swish(memory_efficient=False)
        pad_in_convolutions(whole)
        self.levels = tuple(sorted(levels))
        self._last_block_of = _level_ends(whole)
        if not set(levels) <= set(self._last_block_of):
            raise ValueError(f"reduction levels {levels} asked for, {name} has 1 to {max(self._last_block_of)}")
        self.stem, self.stem_norm, self.activation = whole._conv_stem, whole._bn0, whole._swish
        self.blocks = whole._blocks[: self._last_block_of[self.levels[-1]] + 1]
        # Drop-connect grows with depth up to `drop_connect` at the whole network's end: a cut network keeps its rates.
        self.drop_connect = [drop_connect * i / len(whole._blocks) for i in range(len(self.blocks))]
        self.channels = {level: self.blocks[self._last_block_of[level]]._bn2.num_features for level in self.levels}

    def forward(self, image_B3HW: torch.Tensor) -> dict[int, torch.Tensor]:
        """Level -> map (B, C, ceil(H / 2^level), ceil(W / 2^level))."""
        x = self.activation(self.stem_norm(self.stem(image_B3HW)))
        maps = {}
        for index, block in enumerate(self.blocks):
            x = block(x, drop_connect_rate=self.drop_connect[index])
            maps.update({level: x for level in self.levels if self._last_block_of[level] == index})
        return maps


def _level_ends(whole: EfficientNet) -> dict[int, int]:
    """Level -> index of its last block: the one before the next block that halves the map."""
    halving = [i for i, block in enumerate(whole._blocks) if 2 in _strides(block)]
    ends = [i - 1 for i in halving] + [len(whole._blocks) - 1]
    return dict(enumerate(ends, start=1))


def _strides(block: Any) -> tuple[int, ...]:
    stride = block._block_args.stride
    return tuple(stride) if isinstance(stride, (list, tuple)) else (stride,)


def map_size(image_size: tuple[int, int], level: int) -> tuple[int, int]:
    """(height, width) of a level's map for an image of (height, width): each halving rounds up."""
    height, width = image_size
    for _ in range(level):
        height, width = (height + 1) // 2, (width + 1) // 2
    return height, width


Backbone = EfficientNetEndpoints | ResNetEndpoints
_BUILDERS: dict[str, Callable[[tuple[int, ...], float], Backbone]] = {
    "efficientnet-b0": partial(EfficientNetEndpoints, "efficientnet-b0"),
    "efficientnet-b1": partial(EfficientNetEndpoints, "efficientnet-b1"),
    "resnet50": lambda levels, _drop_connect: ResNetEndpoints(levels),
}


def backbone_names() -> list[str]:
    return list(_BUILDERS)


def build_backbone(name: str, levels: tuple[int, ...], drop_connect: float) -> Backbone:
    """The backbone `name` with random weights, cut after the last of the reduction levels.

    `drop_connect` is EfficientNet's; ResNet has none. ValueError for an unknown name; UserError if resnet50 is
    requested and torchvision cannot be imported.
    """
    if name not in _BUILDERS:
        raise ValueError(f"backbone '{name}' is unknown, known are {', '.join(_BUILDERS)}")
    return _BUILDERS[name](levels, drop_connect)

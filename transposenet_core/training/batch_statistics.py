"""Batch statistics of a network that has trained for few steps only.

EfficientNet's running statistics move by a hundredth per step. After a few hundred steps they are still partly those of
the first weights, and those of the moving average of the weights lag behind as well: in training a batch is normalised
by its own statistics and learnt, in validation the same images give poses that are far off (docs/training.md has an
example). After a thousand steps nothing of this is left.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterable

import torch
from torch import nn

from transposenet_core.preprocessing import Preprocessing
from transposenet_core.training.augmentation.views import training_views
from transposenet_core.training.batches import Batch, batches
from transposenet_core.training.config import TrainConfig
from transposenet_core.training.data.scene_pixels import ScenePixels
from transposenet_core.training.distributed import World, with_own_statistics

SETTLED = 1000  # steps
IMAGES = 256


def settled(
    network: nn.Module, pixels: ScenePixels, preprocessing: Preprocessing, config: TrainConfig, world: World, epoch: int
) -> nn.Module:
    """A copy of the network with the statistics of up to 256 training views; the network itself where it has no batch
    statistics, or has trained for `SETTLED` steps. `epoch` epochs are finished. Of several processes one calls it, and
    sees the views that a single one would."""
    norms = _norms(network)
    count = len(pixels.counts) * max(pixels.counts)
    steps = epoch * math.ceil(count / config.batch_size)
    if not norms or steps >= SETTLED or min(count, config.batch_size) < 2:
        return network
    alone = World(world.device)
    copied = with_own_statistics(copy.deepcopy(network)).eval()
    for norm in _norms(copied):
        if norm.num_batches_tracked is not None:
            norm.num_batches_tracked.zero_()
            norm.momentum = None  # the mean over all batches
            norm.train()
    few = batches(pixels.counts, config.batch_size, config.seed, epoch, alone)
    with torch.no_grad():
        for image_B3HW in _views(few, pixels, preprocessing, config, alone):
            copied(image_B3HW)
    for norm, original in zip(_norms(copied), norms, strict=True):
        norm.momentum = original.momentum
    return copied.eval()


def _norms(network: nn.Module) -> list[nn.modules.batchnorm._BatchNorm]:
    return [module for module in network.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]


def _views(
    few: Iterable[Batch], pixels: ScenePixels, preprocessing: Preprocessing, config: TrainConfig, world: World
) -> Iterable[torch.Tensor]:
    """Training views (B, 3, H, W), batch by batch, of `IMAGES` images or a few more."""
    seen = 0
    for batch in few:
        index_B = batch.index_B.to(pixels.device)
        chosen = pixels.chosen(index_B, world.device)
        random_BK = batch.random_BK[pixels.sorted_by_scene(index_B).cpu()].to(world.device)
        places_B = torch.arange(len(chosen), device=world.device)
        yield training_views(chosen, places_B, random_BK, preprocessing, config.augmentation).image_B3HW
        seen += len(index_B)
        if seen >= IMAGES:
            return

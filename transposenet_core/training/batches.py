"""The order of an epoch and all its chance, drawn from one seed: what a step gets."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch

from transposenet_core.training.augmentation import DRAWS
from transposenet_core.training.distributed import World


@dataclass(frozen=True, eq=False)
class Batch:
    """This process's share of a batch of `total` pictures: places in the cache (B,) and uniform numbers (B, DRAWS)."""

    index_B: torch.Tensor
    draws_BK: torch.Tensor
    total: int


def batches(count: int, size: int, seed: int, epoch: int, world: World) -> Iterator[Batch]:
    """`count` pictures in random order, `size` at a time over all processes.

    The same for a resumed run and an unbroken one, for one process and many. A last batch of one picture makes poor
    statistics and is left out, unless no other is larger; so is one of fewer pictures than there are processes.
    """
    # One seed for what all processes share, one for what each has of its own: dropout and drop-connect.
    torch.manual_seed((seed * 1_000_003 + epoch) * 4096 + world.rank)
    generator = torch.Generator().manual_seed(seed * 1_000_003 + epoch)
    least = min(max(2, world.size), size, count)
    for index in torch.randperm(count, generator=generator).split(size):
        draws = torch.rand(len(index), DRAWS, generator=generator)
        if len(index) >= least:
            yield Batch(world.share(index), world.share(draws), len(index))

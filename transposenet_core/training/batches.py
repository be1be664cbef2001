"""The order of an epoch and all its chance, drawn from one seed: what a step gets."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
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


def batches(counts: int | Sequence[int], size: int, seed: int, epoch: int, world: World) -> Iterator[Batch]:
    """So many pictures of each scene in random order, `size` at a time over all processes.

    Of several scenes each gives as many pictures as the largest has: all of its own as often as that goes, then some of
    them again. The same for a resumed run and an unbroken one, for one process and many. A last batch of one picture
    makes poor statistics and is left out, unless no other is larger; so is one of fewer pictures than processes.
    """
    # One seed for what all processes share, one for what each has of its own: dropout and drop-connect.
    torch.manual_seed((seed * 1_000_003 + epoch) * 4096 + world.rank)
    generator = torch.Generator().manual_seed(seed * 1_000_003 + epoch)
    places = _equalised([counts] if isinstance(counts, int) else counts, generator)
    least = min(max(2, world.size), size, len(places))
    for index in places[torch.randperm(len(places), generator=generator)].split(size):
        draws = torch.rand(len(index), DRAWS, generator=generator)
        if len(index) >= least:
            yield Batch(world.share(index), world.share(draws), len(index))


def _equalised(counts: Sequence[int], generator: torch.Generator) -> torch.Tensor:
    """The places of an epoch's pictures, counted through all scenes."""
    parts, begin, largest = [], 0, max(counts)
    for count in counts:
        whole = torch.arange(count).repeat(largest // count)
        again = torch.randperm(count, generator=generator)[: largest % count] if largest % count else whole[:0]
        parts.append(begin + torch.cat((whole, again)))
        begin += count
    return torch.cat(parts)

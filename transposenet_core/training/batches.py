"""The order of an epoch and all its chance, drawn from one seed: what a step gets."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch

from transposenet_core.errors import UserError
from transposenet_core.training.augmentation.views import DRAWS
from transposenet_core.training.distributed import World
from transposenet_core.training.losses.neighbours import pairs


@dataclass(frozen=True, eq=False)
class Batch:
    """This process's share of a batch of `total` pictures: places in the cache (B,) and uniform numbers (B, DRAWS)."""

    index_B: torch.Tensor
    draws_BK: torch.Tensor
    total: int


def batches(
    counts: int | Sequence[int], size: int, seed: int, epoch: int, world: World, neighbours: bool = False
) -> Iterator[Batch]:
    """So many pictures of each scene in random order, `size` at a time over all processes.

    Of several scenes each gives as many pictures as the largest has: all of its own as often as that goes, then some of
    them again. With `neighbours` the rows of a share's second half are neighbours of those of its first, one by one.
    The same for a resumed run and an unbroken one, for one process and many. A last batch of one picture makes poor
    statistics and is left out, unless no other is larger; so is one with fewer pictures (or pairs) than processes.
    """
    # One seed for what all processes share, one for what each has of its own: dropout and drop-connect.
    torch.manual_seed((seed * 1_000_003 + epoch) * 4096 + world.rank)
    generator = torch.Generator().manual_seed(seed * 1_000_003 + epoch)
    counts = [counts] if isinstance(counts, int) else counts
    if neighbours and size < 2 * world.size:
        raise UserError(
            f"batch_size is {size}, and loss.neighbours needs two pictures for each of {world.size} processes; use at "
            f"least {2 * world.size}"
        )
    # Groups (N, G) of pictures that go together: one alone, or two neighbours.
    groups_NG = pairs(counts, generator) if neighbours else _equalised(counts, generator)[:, None]
    together = groups_NG.shape[1]
    least = min(max(2, together * world.size), size, groups_NG.numel())
    for index_BG in groups_NG[torch.randperm(len(groups_NG), generator=generator)].split(size // together):
        draws_GBK = torch.rand(together, len(index_BG), DRAWS, generator=generator)
        if index_BG.numel() >= least:
            index_B = torch.cat([world.share(index_B) for index_B in index_BG.T])
            draws_BK = torch.cat([world.share(draws_BK) for draws_BK in draws_GBK])
            yield Batch(index_B, draws_BK, index_BG.numel())


def _equalised(counts: Sequence[int], generator: torch.Generator) -> torch.Tensor:
    """The places of an epoch's pictures, counted through all scenes."""
    parts, begin, largest = [], 0, max(counts)
    for count in counts:
        whole = torch.arange(count).repeat(largest // count)
        again = torch.randperm(count, generator=generator)[: largest % count] if largest % count else whole[:0]
        parts.append(begin + torch.cat((whole, again)))
        begin += count
    return torch.cat(parts)

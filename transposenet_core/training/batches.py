"""The batches of an epoch: its order and all its random numbers, generated from one seed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch

from transposenet_core.errors import UserError
from transposenet_core.training.augmentation.views import RANDOM_NUMBERS
from transposenet_core.training.distributed import World

# Training frames between two neighbours, in the data set's order: as MapNet has it on 7-Scenes, a third of a second.
APART = 10


@dataclass(frozen=True, eq=False)
class Batch:
    """This process's share of a batch of `total` images: indices in the cache (B,) and uniform numbers
    (B, RANDOM_NUMBERS)."""

    index_B: torch.Tensor
    random_BK: torch.Tensor
    total: int


def batches(
    counts: Sequence[int], size: int, seed: int, epoch: int, world: World, neighbours: bool = False
) -> Iterator[Batch]:
    """The images of all scenes in random order, `counts` of each, `size` at a time over all processes.

    With several scenes each gives as many images as the largest has: all of its images as often as possible, then some
    of them again. With `neighbours` the rows of a share's second half are neighbours of those of its first, one by one.
    The same for a resumed and an uninterrupted run, for one process and many. A last batch of one image gives poor
    statistics and is left out, unless no other is larger; so is one with fewer images (or pairs) than processes.
    """
    # One seed for what all processes share, one for what differs between them: dropout and drop-connect.
    torch.manual_seed((seed * 1_000_003 + epoch) * 4096 + world.rank)
    generator = torch.Generator().manual_seed(seed * 1_000_003 + epoch)
    if neighbours and size < 2 * world.size:
        raise UserError(
            f"batch_size is {size}, and loss.neighbours needs two images for each of {world.size} processes; use at "
            f"least {2 * world.size}"
        )
    # Groups (N, G) of images that go together: one alone, or two neighbours.
    groups_NG = pairs(counts, generator) if neighbours else _equalised(counts, generator)[:, None]
    together = groups_NG.shape[1]
    least = min(max(2, together * world.size), size, groups_NG.numel())
    for index_BG in groups_NG[torch.randperm(len(groups_NG), generator=generator)].split(size // together):
        random_GBK = torch.rand(together, len(index_BG), RANDOM_NUMBERS, generator=generator)
        if index_BG.numel() >= least:
            index_B = torch.cat([world.share(index_B) for index_B in index_BG.T])
            random_BK = torch.cat([world.share(random_BK) for random_BK in random_GBK])
            yield Batch(index_B, random_BK, index_BG.numel())


def _equalised(counts: Sequence[int], generator: torch.Generator) -> torch.Tensor:
    """The indices of an epoch's images, counted through all scenes."""
    parts, begin, largest = [], 0, max(counts)
    for count in counts:
        whole = torch.arange(count).repeat(largest // count)
        again = torch.randperm(count, generator=generator)[: largest % count] if largest % count else whole[:0]
        parts.append(begin + torch.cat((whole, again)))
        begin += count
    return torch.cat(parts)


def pairs(counts: Sequence[int], generator: torch.Generator) -> torch.Tensor:
    """Indices (M, 2) of images that are `APART` frames apart in the data set's order, none of them twice.

    If frames between them were held out, or a sequence ends, they may have been recorded further apart; their relative
    pose is still correct.

    UserError if there is more than one scene, or no neighbour.
    """
    if len(counts) != 1 or counts[0] < 2:
        found = f"{len(counts)} scenes" if len(counts) != 1 else "one training frame"
        raise UserError(f"loss.neighbours needs one scene of at least 2 training frames, found {found}; set it to 0")
    (count,) = counts
    apart = min(APART, count // 2)
    # Pairs go from every second stretch of the recording to the next one; the start is random, so that over the epochs
    # every image has a neighbour on either side.
    shift = int(torch.randint(2 * apart, (1,), generator=generator)) if count > 2 * apart else 0
    first_N = torch.arange(count - apart)
    first_M = first_N[(first_N + shift) // apart % 2 == 0]
    return torch.stack((first_M, first_M + apart), dim=1)

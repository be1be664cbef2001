"""Batches that fit: a sentence where one does not, and the size that a machine trains fastest with."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch

from transposenet_core.errors import UserError
from transposenet_core.training.config import TrainConfig

WORTH_IT = 1.1  # a batch twice as large must be that much faster per picture


def is_out_of_memory(error: BaseException) -> bool:
    """CUDA has a type for it, a CPU says it in words."""
    words = ("can't allocate memory", "bad_alloc", "could not create a memory")
    return isinstance(error, (torch.OutOfMemoryError, MemoryError)) or (
        isinstance(error, RuntimeError) and any(word in str(error) for word in words)
    )


@contextmanager
def names_the_batch_size(config: TrainConfig) -> Iterator[None]:
    """UserError that names the batch size to try where the memory does not hold one."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        size, picture = config.batch_size, config.picture
        smaller = f"batch_size={size // 2}, or --auto-batch" if size > 1 else "a smaller picture.height and width"
        raise UserError(
            f"batch_size {size} at {picture.height}x{picture.width} pixels does not fit into the memory; try {smaller}"
        ) from None


def fastest_batch_size(step_of: Callable[[int], Callable[[], None]], sizes: list[int]) -> tuple[int, dict[int, float]]:
    """The size with the most pictures per second, and what was measured.

    `step_of(size)` prepares a step on that many pictures. Sizes are tried from small to large, up to one that memory
    does not hold or that brings less than a tenth more. UserError where not even the first fits.
    """
    measured: dict[int, float] = {}
    best = 0
    for size in sizes:
        try:
            step = step_of(size)
            for _ in range(5):  # three eager steps, one that records, one replayed
                step()
            started = time.perf_counter()
            for _ in range(3):
                step()
            measured[size] = 3 * size / (time.perf_counter() - started)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            break
        if best and measured[size] < WORTH_IT * measured[best]:
            break
        best = size
    if not best:
        raise UserError(f"not even {sizes[0]} pictures fit into the memory; make picture.height and width smaller")
    return best, measured

"""Memory of a training: kept from step to step, and batch sizes that fit into it, with an error message if one does
not."""

from __future__ import annotations

import ctypes
import platform
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import torch

from transposenet_core.errors import UserError
from transposenet_core.training.config import TrainConfig

WORTH_IT = 1.1  # a batch twice as large must be that much faster per image
# Parameters of glibc's mallopt (3): how much free memory goes back to the system, how much more is requested than
# is needed, and how many blocks are mapped one by one.
M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_MAX = -1, -2, -4


def keep_freed_memory() -> bool:
    """Let this process keep the memory that tensors free, for those of the next step; False without glibc.

    glibc returns each large block to the system at once, and the system clears each page anew when it is next touched:
    a sixth of a training step on two threads of a CPU.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    libc = ctypes.CDLL(None)
    most = 2**31 - 1
    return all(libc.mallopt(*pair) for pair in ((M_MMAP_MAX, 0), (M_TRIM_THRESHOLD, most), (M_TOP_PAD, 2**26)))


def is_out_of_memory(error: BaseException) -> bool:
    """CUDA has an exception type for it, on a CPU only the message tells."""
    words = ("can't allocate memory", "bad_alloc", "could not create a memory", "out of memory", "STATUS_ALLOC_FAILED")
    return isinstance(error, (torch.OutOfMemoryError, MemoryError)) or (
        isinstance(error, RuntimeError) and any(word in str(error) for word in words)
    )


@contextmanager
def _out_of_memory(sentence: str) -> Iterator[None]:
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        raise UserError(sentence) from None


def names_the_batch_size(config: TrainConfig) -> AbstractContextManager[None]:
    """UserError that names the batch size to try if a batch does not fit into memory."""
    size, image = config.batch_size, config.image
    smaller = f"batch_size={size // 2}, or --auto-batch" if size > 1 else "a smaller image.height and width"
    return _out_of_memory(
        f"batch_size {size} at {image.height}x{image.width} pixels does not fit into the memory; try {smaller}"
    )


def names_the_images(count: int, config: TrainConfig) -> AbstractContextManager[None]:
    """UserError if all images together do not fit into memory."""
    return _out_of_memory(
        f"{count} images with a smaller edge of {config.image.smaller_edge} pixels do not fit into the memory; try "
        "a smaller image.smaller_edge, or fewer images by --split"
    )


def fastest_batch_size(step_of: Callable[[int], Callable[[], None]], sizes: list[int]) -> tuple[int, dict[int, float]]:
    """The size with the most images per second, and what was measured.

    `step_of(size)` prepares a step on that many images. Sizes are tried from small to large, up to one that does not
    fit into memory or that is less than a tenth faster. UserError if not even the first fits.
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
        raise UserError(f"not even {sizes[0]} images fit into the memory; make image.height and width smaller")
    return best, measured

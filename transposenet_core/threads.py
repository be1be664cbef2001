"""Work on many files in threads."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

from transposenet_core.errors import UserError

Each = Callable[[Callable[[Any], Any], Iterable[Any]], Iterator[Any]]


@contextmanager
def in_threads(threads: int, advice: str) -> Iterator[Each]:
    """`map`, or a version with this many threads that starts no more calls once one, or who takes the results, has
    failed. UserError, which ends with `advice`, where they cannot be started."""
    if threads < 1:
        yield map
        return
    with ThreadPoolExecutor(threads) as pool:

        def each(function: Callable[[Any], Any], items: Iterable[Any]) -> Iterator[Any]:
            try:
                return pool.map(function, items)
            except RuntimeError as error:  # "can't start new thread": a container's limit on processes
                raise UserError(f"{threads} threads cannot be started ({error}); {advice}") from None

        try:
            yield each
        except BaseException:  # Ctrl-C, too: the thousands of frames that wait are not wanted any more
            pool.shutdown(wait=False, cancel_futures=True)
            raise

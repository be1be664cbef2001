"""A slot for the newest message and the one thread that empties it.

Queues make old poses: with a slot, a pose is never older than one inference and one frame.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Mailbox(Generic[T]):
    """One slot; the newest item wins."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._item: T | None = None
        self._closed = False

    def put(self, item: T) -> bool:
        """Store an item; true where it took the place of one that nobody had taken."""
        with self._changed:
            superseded = self._item is not None
            self._item = item
            self._changed.notify()
            return superseded

    def take(self) -> T | None:
        """Wait for an item; None once the mailbox is closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._item is not None)
            if self._closed:
                return None
            item, self._item = self._item, None
            return item

    def close(self) -> bool:
        """End the waiting of `take`; true where an item was left that nobody had taken."""
        with self._changed:
            self._closed, left = True, self._item is not None
            self._item = None
            self._changed.notify_all()
            return left


class Worker(Generic[T]):
    """A thread that hands every item of a mailbox to `handle`, which must not raise."""

    def __init__(self, handle: Callable[[T], None]) -> None:
        self.mailbox: Mailbox[T] = Mailbox()
        self._handle = handle
        self._thread = threading.Thread(target=self._run, name="localizer_worker")
        self._thread.start()

    def _run(self) -> None:
        while (item := self.mailbox.take()) is not None:
            self._handle(item)

    def stop(self) -> bool:
        """Finish the current item and end the thread; true where an item in the slot was left undone.

        A thread that is still inside torch when Python exits aborts the process, so this waits for it.
        """
        left = self.mailbox.close()
        self._thread.join()
        return left

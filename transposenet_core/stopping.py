"""Ctrl-C, SIGTERM and a closed terminal end long work in order: as an exception where it runs."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

STOPPING = (signal.SIGINT, signal.SIGTERM)
AGAIN_S = 0.02  # until a signal that was lost is sent once more


class Stopped(KeyboardInterrupt):
    """A signal asked for the end; ``number`` is the signal's."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number


@contextmanager
def stoppable(what: str) -> Iterator[None]:
    """The first SIGINT or SIGTERM within raises :class:`Stopped`, also in a background job, where a shell has SIGINT
    ignored; a second one acts as it would without this. `what` is written to stderr with the signal's name."""
    if threading.current_thread() is not threading.main_thread():  # Python allows handlers in the main thread alone
        yield
        return

    def stop(number: int, _: object) -> None:
        restore()
        print(f"{signal.Signals(number).name}: {what}", file=sys.stderr, flush=True)
        raise Stopped(number)

    def again(number: int, _: object) -> None:
        restore()
        raise Stopped(number)

    def swallowed(lost: sys.UnraisableHookArgs) -> None:
        """A signal that arrives in a `__del__` is lost there, as every exception is: send it once more."""
        if not isinstance(lost.exc_value, Stopped):
            hook(lost)
            return
        number = lost.exc_value.number
        signal.signal(number, again)
        threading.Timer(AGAIN_S, signal.pthread_kill, (threading.main_thread().ident, number)).start()

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    before = {number: signal.signal(number, stop) for number in STOPPING}
    hook, sys.unraisablehook = sys.unraisablehook, swallowed
    try:
        yield
    finally:
        restore()
        sys.unraisablehook = hook

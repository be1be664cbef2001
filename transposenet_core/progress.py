"""Progress bars of long work: tqdm on a terminal; in a log file or a background job, a line a minute."""

from __future__ import annotations

import sys
import time
from typing import Any

from tqdm import tqdm

SECONDS_BETWEEN_LINES = 60.0


class ProgressBar(tqdm):
    """tqdm, whose bar is redrawn only where a terminal shows it. Elsewhere the line that it would draw is written once
    a minute, however many bars come and go in between: a log keeps every version of a line that is redrawn."""

    _last_line = time.monotonic()  # of all bars of the process

    def __init__(self, *args: Any, **options: Any) -> None:
        self._on_terminal = (options.get("file") or sys.stderr).isatty()
        super().__init__(*args, **options)

    def display(self, msg: str | None = None, pos: int | None = None) -> bool | None:
        if self._on_terminal:
            return super().display(msg, pos)
        if time.monotonic() - ProgressBar._last_line >= SECONDS_BETWEEN_LINES:
            ProgressBar._last_line = time.monotonic()
            print(msg or str(self), file=self.fp, flush=True)
        return None

    def clear(self, nolock: bool = False) -> None:
        if self._on_terminal:
            super().clear(nolock=nolock)

    def close(self) -> None:
        if not self._on_terminal:
            self.disable = True  # nothing is drawn that would have to be wiped out
        super().close()

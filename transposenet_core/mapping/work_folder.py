"""The folder beside a map in which it is made: what is finished there survives an interruption.

Every step keeps its results there under a hash of all that they depend on, so that nothing of another recording or of
other options is taken for them, and a run that was cut off goes on where it was (fault matrix, M7).
"""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from transposenet_core.errors import UserError

SUFFIX = ".work"
LOCK = "lock"


@contextmanager
def work_folder(out: Path) -> Iterator[Path]:
    """`OUT.work` beside the map `out`, for this process alone; it is removed when the block ends without an error.

    UserError where another process makes the same map, or where the folder cannot be written.
    """
    folder = out.with_name(out.name + SUFFIX)
    with _locked(folder, out):
        try:
            yield folder
        except OSError as error:
            full = error.errno in (errno.ENOSPC, errno.EDQUOT)
            advice = "free disk space" if full else "see to it"
            raise UserError(f"{folder}: {error}; {advice} and run the same command again: it goes on there") from None
        shutil.rmtree(folder, ignore_errors=True)


def _locked(folder: Path, out: Path) -> IO[str]:
    """The lock of the work folder, which is made where it is missing; the lock is held until the file is closed."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = open(folder / LOCK, "w")  # noqa: SIM115  held as long as the block
    except OSError as error:
        raise UserError(f"{folder}: cannot be written ({error.strerror}); name another --out") from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # A process that has just finished removes its folder: the lock of a file that is gone keeps nobody away.
        held = (folder / LOCK).stat().st_ino == os.fstat(lock.fileno()).st_ino
    except FileNotFoundError:
        held = False
    except OSError as error:
        lock.close()
        if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
            raise UserError(f"{folder / LOCK}: cannot be locked ({error.strerror}); name another --out") from None
        raise UserError(f"{out}: another process makes this map now; wait for it, or name another --out") from None
    if held:
        return lock
    lock.close()
    raise UserError(f"{out}: another process has just made this map; look at it, or name another --out")

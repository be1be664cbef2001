"""What a SQLite recording has beside its file: the log of a recorder that was ended before it closed it.

With rosbag2's `resilient` preset messages go into a write-ahead log (`.db3-wal`) and from there into the file; in other
modes a journal (`.db3-journal`) holds what an unfinished transaction has overwritten. A reader that opens the file as
one that nobody changes, as `rosbags` does, sees neither.
"""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import ExitStack, closing
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir

from transposenet_core.errors import UserError

SQLITE = ".db3"
LOGS = ("-wal", "-journal")


class UnusableLogError(UserError):
    """SQLite cannot use a file together with the log beside it."""


def logs_of(path: Path) -> list[Path]:
    """The logs with something in them beside a SQLite file; a link's are beside what it leads to, as SQLite has it."""
    if path.suffix != SQLITE:
        return []
    file = path.resolve()
    logs = [file.with_name(file.name + suffix) for suffix in LOGS]
    return [log for log in logs if log.is_file() and log.stat().st_size]


def with_its_log(path: Path, resources: ExitStack) -> Path:
    """The storage file to read: `path`, or where logs lie beside it a copy that SQLite has completed with them.

    The recording is not touched, so that it may lie where nobody can write; the copy is removed with `resources`.
    UserError where there is no room for the copy; UnusableLogError.
    """
    logs = logs_of(path)
    if not logs:
        return path
    folder = Path(resources.enter_context(TemporaryDirectory(prefix="transposenet_recording.")))
    file, copy = path.resolve(), folder / path.name
    try:
        for source in (file, *logs):
            shutil.copyfile(source, f"{copy}{source.name.removeprefix(file.name)}")
        with closing(sqlite3.connect(copy)) as connection:
            # Without it SQLite refuses every file that is shorter than its header says.
            connection.execute("PRAGMA writable_schema=ON")
            connection.execute("SELECT count(*) FROM sqlite_master").fetchall()  # takes a journal's transaction back
            connection.execute("PRAGMA journal_mode=DELETE").fetchall()  # writes the log into the file
    except OSError as error:
        needed_mb = sum(source.stat().st_size for source in (file, *logs)) / 1e6
        raise UserError(
            f"{path}: it is to be read together with {_names(logs)}, in a copy of {needed_mb:,.0f} MB, which cannot be "
            f"made in {gettempdir()} ({error.strerror}); name another folder with TMPDIR"
        ) from None
    except sqlite3.Error as error:
        raise UnusableLogError(
            f"{path}: SQLite cannot read it together with {_names(logs)} ({error}); copy all of them again"
        ) from None
    return copy


def log_note(path: Path) -> str:
    """A sentence for the user of a file that was read with its log, "" where there is none."""
    logs = logs_of(path)
    return f"{path}: read together with {_names(logs)}: its recorder did not close it" if logs else ""


def _names(logs: list[Path]) -> str:
    return " and ".join(log.name for log in logs)

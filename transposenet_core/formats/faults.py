"""The faults that an adapter finds in the files it reads: all at once, each with its file and row.

An adapter never stops at a bad row: it reports the row and leaves it out. Loading a scene raises one
UserError (:meth:`Faults.raise_refused`); checking a data set returns the list.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace

from transposenet_core.errors import UserError
from transposenet_core.printable import printable

SHOWN = 5  # fault matrix, T2
MOST_SKIPPED = 0.05  # fault matrix, T1
REPEATED = "{} rows repeat another row exactly and are used once"


@dataclass(frozen=True)
class Fault:
    """`where` is a file or ``file line 7``, `what` the rest of the sentence; a remark does not stop the loading.

    `table` is the file of poses that a row is of, where rows of poses are not rows of images.
    """

    where: str
    what: str
    refused: bool
    table: str = ""

    def __str__(self) -> str:
        return printable(f"{self.where}: {self.what}").replace("\n", " ")


class Faults:
    """The faults of one data set, in the order found."""

    def __init__(self) -> None:
        self.all: list[Fault] = []
        self._rows: dict[str, int] = {}  # of each table of poses

    def refuse(self, where: object, what: str) -> None:
        """A row or file that cannot be used: the adapter leaves it out."""
        self.all.append(Fault(str(where), what, refused=True))

    def remark(self, where: object, what: str) -> None:
        """Something that was corrected, such as a rotation block that is not quite orthonormal."""
        self.all.append(Fault(str(where), what, refused=False))

    def add_table(self, table: object, rows: int, found: Faults) -> None:
        """The faults `found` in a table of poses, which has `rows` rows: many more or fewer than there are images."""
        self._rows[str(table)] = rows
        self.all += [replace(fault, table=str(table)) for fault in found.all]

    def too_many(self, used: int) -> str:
        """Of what more than 5 % have faults: of the images, of which `used` are good, or of the rows of a table of
        poses. A tracker writes ten rows an image: their faults cost images only where none are left around one."""
        for table, count in Counter(fault.table for fault in self.refused).items():
            if table and count > MOST_SKIPPED * self._rows[table]:
                return f"the {self._rows[table]} rows of {table}"
            if not table and count > MOST_SKIPPED * (used + count):
                return "them"
        return ""

    @property
    def refused(self) -> list[Fault]:
        return [fault for fault in self.all if fault.refused]

    @property
    def remarks(self) -> list[Fault]:
        return [fault for fault in self.all if not fault.refused]

    def raise_refused(self, data: object, used: int, skip_bad: bool) -> None:
        """UserError with the first refused faults; with `skip_bad` only where there are `too_many`.

        `used` counts the images that are left.
        """
        count, of_what = len(self.refused), self.too_many(used)
        if not count or (skip_bad and not of_what):
            return
        shown = "; ".join(str(fault) for fault in self.refused[:SHOWN])
        more = f"; and {count - SHOWN} more" if count > SHOWN else ""
        advice = (
            f"that is more than {MOST_SKIPPED:.0%} of {of_what}, too many to leave out: fix the data"
            if skip_bad
            else "fix them or leave these rows out with --skip-bad; transposenet check lists all of them"
        )
        raise UserError(f"{data}: {count} fault{'s' * (count > 1)} and {used} good images: {shown}{more}; {advice}")

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
SKIP_MISSING = "missing=skip"  # the option of every format
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

    def __init__(self, skip_missing: bool = False) -> None:
        self.all: list[Fault] = []
        self.skip_missing = skip_missing
        self.missing: list[str] = []
        self._rows: dict[str, int] = {}  # of each table of poses

    def refuse(self, where: object, what: str) -> None:
        """A row or file that cannot be used: the adapter leaves it out."""
        self.all.append(Fault(str(where), what, refused=True))

    def miss(self, where: object, what: str) -> None:
        """An image that the data set names and that is absent: refused, or with `skip_missing` only counted."""
        self.missing.append(str(where))
        if not self.skip_missing:
            self.refuse(where, what)

    def remark_on_missing(self, data: object, used: int) -> None:
        """With `skip_missing` one remark on all missing images; UserError where no image is left."""
        if not (self.missing and self.skip_missing):
            return
        count = len(self.missing)
        if not used:
            raise UserError(f"{data}: all {count} images that it names are missing, first {self.missing[0]}; copy them")
        more = f" and {count - SHOWN} more" if count > SHOWN else ""
        shown = ", ".join(self.missing[:SHOWN])
        self.remark(data, f"{count} of {count + used} images are missing and left out ({SKIP_MISSING}): {shown}{more}")

    @property
    def missing_advice(self) -> str:
        """How to use the data without the missing images; "" where none is missing or they are left out."""
        if not self.missing or self.skip_missing:
            return ""
        count = len(self.missing)
        images = f"the {count} missing images" if count > 1 else "the missing image"
        return f"; to leave out {images}, write ,{SKIP_MISSING} after the path"

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
        found = f"{count} fault{'s' * (count > 1)} and {used} good images: {shown}{more}"
        raise UserError(f"{data}: {found}; {advice}{self.missing_advice}")

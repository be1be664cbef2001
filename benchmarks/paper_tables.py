"""The paper's tables as data, and the rule by which it averages and ranks.

The rule, inferred from Tables 1-4 of Shavit, Ferens, Keller ("final ranking is set according to the average rank"): a
method's averages are the means of its scenes' medians, rounded half up to two decimals of a metre and three digits of a
degree; methods are ranked by each rounded average, ties share the better rank and the next rank is left out; the
final rank orders the sums of both ranks the same way. The image-retrieval baseline is shown and not ranked.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import NamedTuple

PAPER_FILE = Path(__file__).parent / "papers" / "transposenet.json"


class Errors(NamedTuple):
    """A position error in metres and an orientation error in degrees, with the digits they are shown with."""

    metres: Decimal
    degrees: Decimal

    @classmethod
    def parse(cls, text: str) -> Errors:
        """From ``0.60/2.43``. ValueError for anything else."""
        metres, separator, degrees = text.partition("/")
        if not separator or not all(part.replace(".", "", 1).isdigit() for part in (metres, degrees)):
            raise ValueError(f"'{text}' is not a pair METRES/DEGREES")
        return cls(Decimal(metres), Decimal(degrees))

    @classmethod
    def rounded(cls, metres: Decimal | float, degrees: Decimal | float) -> Errors:
        """With the paper's digits: two decimals, and three digits in all (at most two decimals)."""
        degrees = Decimal(degrees)
        decimals = 2 if degrees < Decimal("9.995") else 1 if degrees < Decimal("99.95") else 0
        return cls(_half_up(Decimal(metres), 2), _half_up(degrees, decimals))

    def __str__(self) -> str:
        return f"{self.metres}/{self.degrees}"


def _half_up(value: Decimal, decimals: int) -> Decimal:
    return value.quantize(Decimal(1).scaleb(-decimals), ROUND_HALF_UP)


@dataclass(frozen=True)
class Paper:
    """`tables` maps a table's number to its title, its columns and its rows: a name and one text per further column."""

    name: str
    baseline: str
    tables: dict[str, Table]

    @classmethod
    def read(cls, path: Path = PAPER_FILE) -> Paper:
        content = json.loads(path.read_text(encoding="utf-8"))
        tables = {number: Table(**table) for number, table in content["tables"].items()}
        return cls(content["paper"], content["baseline"], tables)


@dataclass(frozen=True)
class Table:
    title: str
    columns: list[str]
    rows: dict[str, list[str]]

    def errors(self) -> dict[str, Sequence[Errors | None]]:
        """Every row's cells as numbers. ValueError if the table has anything else."""
        return {name: [Errors.parse(cell) for cell in cells] for name, cells in self.rows.items()}


class Standing(NamedTuple):
    """A row of Tables 2 and 4."""

    average: Errors
    position_rank: int
    orientation_rank: int
    final_rank: int

    def cells(self) -> list[str]:
        return [str(self.average), f"{self.position_rank}/{self.orientation_rank}", str(self.final_rank)]


def average(errors: Sequence[Errors]) -> Errors:
    """The mean over scenes with the paper's digits."""
    count = len(errors)
    return Errors.rounded(sum(e.metres for e in errors) / count, sum(e.degrees for e in errors) / count)


def ranks(values: Mapping[str, Decimal | int]) -> dict[str, int]:
    """1 for the lowest; equal values share the better rank and the next is left out."""
    return {name: 1 + sum(other < value for other in values.values()) for name, value in values.items()}


def standings(rows: Mapping[str, Sequence[Errors | None]], unranked: str) -> dict[str, Standing]:
    """Averages and ranks of all rows that have every scene, except the row `unranked`."""
    whole = {name: [e for e in errors if e] for name, errors in rows.items() if name != unranked and all(errors)}
    averages = {name: average(errors) for name, errors in whole.items()}
    position = ranks({name: mean.metres for name, mean in averages.items()})
    orientation = ranks({name: mean.degrees for name, mean in averages.items()})
    final = ranks({name: position[name] + orientation[name] for name in averages})
    return {name: Standing(mean, position[name], orientation[name], final[name]) for name, mean in averages.items()}


def disagreements(recomputed: Mapping[str, Standing], published: Table) -> list[str]:
    """Where a paper's table of averages and ranks differs from what its own numbers per scene give."""
    found = []
    for name, cells in published.rows.items():
        for column, printed, ours in zip(published.columns[1:], cells, recomputed[name].cells(), strict=True):
            if printed != ours:
                found.append(f"{name}: {column} {printed} printed, {ours} recomputed")
    return found

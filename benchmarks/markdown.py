"""Markdown tables with aligned columns, the best results in bold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from benchmarks.paper_tables import Errors

ABSENT = "-"


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table whose first column is left-aligned and whose others are right-aligned."""
    widths = [max(len(row[column]) for row in (header, *rows)) for column in range(len(header))]
    lines = [_line(header, widths)]
    lines.append("|" + "|".join("-" * (w + 1) + (":" if i else "-") for i, w in enumerate(widths)) + "|")
    return "\n".join(lines + [_line(row, widths) for row in rows])


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    padded = [f"{c:<{w}}" if i == 0 else f"{c:>{w}}" for i, (c, w) in enumerate(zip(cells, widths, strict=True))]
    return "| " + " | ".join(padded) + " |"


def mark_best(rows: Mapping[str, Sequence[Errors | None]], absent: str = ABSENT) -> dict[str, list[str]]:
    """Cells as text; in a column with more than one, the lowest position and the lowest orientation error in bold."""
    marked: dict[str, list[str]] = {name: [] for name in rows}
    for column in zip(*rows.values(), strict=True):
        present = [errors for errors in column if errors]
        best = [min(values) if len(present) > 1 else None for values in zip(*present, strict=True)]
        for name, errors in zip(rows, column, strict=True):
            marked[name].append(absent if errors is None else "/".join(map(_bold, errors, best)))
    return marked


def _bold(value: object, best: object) -> str:
    return f"**{value}**" if value == best else str(value)

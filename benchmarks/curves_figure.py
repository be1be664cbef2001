"""A row of small plots, one curve each, with y axes from 0: for tables that are easier to read as a curve."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from transposenet_core.atomic_files import write_atomically

COLOUR, BASELINE = "#c1272d", "black"
HEADROOM = 1.08


@dataclass(frozen=True)
class Curve:
    """Values against something; `baseline` is a line to compare with, `logarithmic` the scale of the x axis."""

    x_label: str
    x: Sequence[float]
    y: Sequence[float]
    y_label: str
    logarithmic: bool = False
    baseline: Sequence[float] | None = None
    baseline_label: str = ""


def draw_curves(path: Path, title: str, curves: Sequence[Curve]) -> None:
    """Write a PNG."""
    figure = Figure(figsize=(5 * len(curves), 4), dpi=110, layout="constrained")
    figure.suptitle(title)
    row: Any = figure.subplots(1, len(curves), squeeze=False)[0]
    for axes, curve in zip(row, curves, strict=True):
        label = "model" if curve.baseline is not None else None
        axes.plot(curve.x, curve.y, "o-", color=COLOUR, zorder=3, label=label)
        if curve.baseline is not None:
            axes.plot(curve.x, curve.baseline, "s--", color=BASELINE, label=curve.baseline_label)
            axes.legend(frameon=False)
        if curve.logarithmic:
            axes.set_xscale("log", base=2)
            axes.set_xticks(curve.x, [f"{value:g}" for value in curve.x])
        axes.set_xlabel(curve.x_label)
        axes.set_ylabel(curve.y_label)
        axes.set_ylim(0, HEADROOM * max([*curve.y, *(curve.baseline or ())]))
        axes.grid(alpha=0.3)
    with write_atomically(path) as temporary:
        figure.savefig(temporary)

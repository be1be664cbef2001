"""The overview image of a map: where the cameras were recorded and where the adjustment put them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from transposenet_core.atomic_files import write_atomically
from transposenet_core.geometry.vertical import Vertical
from transposenet_core.mapping.report.map_card import MapCard
from transposenet_core.mapping.report.movement import Movement
from transposenet_core.mapping.report.page_figure import ADJUSTED, RECORDED
from transposenet_core.printable import printable
from transposenet_core.scene import unit_name

ARROWS = 250
ARROW_SHARE = 0.06  # of the longer side: how long the arrows of the 95th percentile are drawn, at most
NICE = (1, 2, 5)
GAP = 8  # no line over steps that are this many times the usual one: another sequence, or frames left out
BINS = 40


def draw_map_overview(path: str | Path, card: MapCard, movement: Movement, vertical: Vertical | None = None) -> None:
    """Write a PNG: tracks before and after from above, with arrows of the movement whose exaggeration is stated;
    movement and rotation by frame; histograms of both. `movement` has one frame or more.
    """
    from matplotlib.figure import Figure  # half a second to import: only when drawing
    from matplotlib.text import Text

    unit, vertical = unit_name(card.units), vertical or movement.vertical()
    figure = Figure(figsize=(16, 10), dpi=100, layout="constrained")
    figure.suptitle(f"{printable(card.scene)}: {len(movement)} training frames, labels {card.labels}", fontsize=14)
    halves: Any = figure.subfigures(1, 2, width_ratios=(1.15, 1))
    left, right = halves
    _draw_tracks(left.subplots(), movement, vertical, unit)
    cells = right.subplots(4, 1)
    for row, (values_N, name) in enumerate(_measures(movement, unit)):
        _draw_by_frame(cells[2 * row], movement, values_N, name)
        _draw_histogram(cells[2 * row + 1], values_N, name)
    for text in figure.findobj(Text):
        text.set_parse_math(False)  # names may contain anything: a $ is not a formula
    with write_atomically(path) as temporary:
        figure.savefig(temporary)


def arrow_scale(movement: Movement, extent: float) -> int:
    """How many times as long as they are movements are drawn: 1, 2, 5, 10, 20 ..., so that they are well seen."""
    typical = float(np.percentile(movement.distance_N, 95))
    if typical <= 0 or extent <= 0:
        return 1
    wanted = ARROW_SHARE * extent / typical
    steps = [nice * 10**power for power in range(7) for nice in NICE]
    return max((step for step in steps if step <= wanted), default=1)


def pieces(position_N3: np.ndarray) -> list[np.ndarray]:
    """Indices of the frames, cut where a step is far longer than usual."""
    steps_M = np.linalg.norm(np.diff(position_N3, axis=0), axis=1)
    usual = float(np.median(steps_M[steps_M > 0])) if (steps_M > 0).any() else 0.0
    return np.split(np.arange(len(position_N3)), np.flatnonzero(steps_M > GAP * max(usual, 1e-12)) + 1)


def _measures(movement: Movement, unit: str) -> list[tuple[np.ndarray, str]]:
    if unit == "m":
        return [(100 * movement.distance_N, "moved [cm]"), (movement.rotation_deg_N, "rotated [deg]")]
    return [(movement.distance_N, f"moved [{unit}]"), (movement.rotation_deg_N, "rotated [deg]")]


def _draw_tracks(axes: Any, movement: Movement, vertical: Vertical, unit: str) -> None:
    before_N2, after_N2 = vertical.level(movement.recorded_N3), vertical.level(movement.adjusted_N3)
    extent = float(np.ptp(np.concatenate([before_N2, after_N2]), axis=0).max())
    scale = arrow_scale(movement, extent)
    for number, piece in enumerate(pieces(movement.recorded_N3)):
        names = ("as recorded", "adjusted") if number == 0 else (None, None)
        axes.plot(*before_N2[piece].T, "-", marker=".", ms=2.5, c=RECORDED, lw=0.9, label=names[0], zorder=2)
        axes.plot(*after_N2[piece].T, "-", marker=".", ms=2.5, c=ADJUSTED, lw=0.9, label=names[1], zorder=3)
    shown = np.union1d(np.arange(0, len(movement), -(-len(movement) // ARROWS)), movement.moved_most())
    moved_N2 = scale * (after_N2 - before_N2)[shown]
    label = "movement, to scale" if scale == 1 else f"movement, {scale} times as long"
    axes.quiver(
        *before_N2[shown].T, *moved_N2.T, angles="xy", scale_units="xy", scale=1,
        width=0.0016, headwidth=4, headlength=5, color="#444444", zorder=4, label=label,
    )  # fmt: skip
    axes.update_datalim(before_N2[shown] + moved_N2)
    most = movement.moved_most(1)
    moved_most = f"moved most: {printable(movement.names[most[0]])}"
    axes.plot(*after_N2[most].T, "o", ms=14, mfc="none", mec="black", ls="none", label=moved_most, zorder=5)
    axes.autoscale_view()
    axes.set_aspect("equal", adjustable="datalim")
    axes.grid(alpha=0.25)
    first, second, up = vertical.names
    axes.set(xlabel=f"{first} [{unit}]", ylabel=f"{second} [{unit}]", title=f"from above (up is {up}); arrows: {label}")
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.08), ncols=2, fontsize=9, frameon=False)


def _draw_by_frame(axes: Any, movement: Movement, values_N: np.ndarray, name: str) -> None:
    for piece in pieces(movement.recorded_N3):
        axes.plot(piece, values_N[piece], c=ADJUSTED, lw=0.9, marker="." if len(piece) == 1 else None, ms=3)
    axes.set(xlabel="training frame", ylabel=name, ylim=(0, None), xlim=(-0.5, max(len(movement) - 0.5, 0.5)))
    axes.grid(alpha=0.25)


def _draw_histogram(axes: Any, values_N: np.ndarray, name: str) -> None:
    top = float(values_N.max())
    axes.hist(values_N, BINS, range=(0, top if top > 0 else 1.0), color=ADJUSTED)
    for place, style, percent in ((np.median(values_N), "-", "median"), (np.percentile(values_N, 95), "--", "p95")):
        axes.axvline(place, c="black", ls=style, lw=1, label=f"{percent} {place:.3g}")
    axes.set(xlabel=name, ylabel="frames", xlim=(0, None))
    axes.legend(fontsize=8)
    axes.grid(alpha=0.25)

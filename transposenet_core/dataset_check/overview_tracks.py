"""The poses' half of the overview: camera positions, view directions and times, coloured by split."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from transposenet_core.dataset_check.card import SECTORS
from transposenet_core.dataset_check.tracks import Tracks
from transposenet_core.geometry.vertical import Vertical
from transposenet_core.scene import SPLITS, time_unit, unit_name

COLOURS = {"train": "#4c86b0", "val": "#e3a32c", "test": "#d1495b"}
LINE = "#c9d1d6"
ARROWS = 60
GAP_PERIODS = 20  # no line is drawn over a longer gap: what is between was not recorded
SHOWN_RUNS = 10
FLAT = 12  # length by height of a track whose heights would be a line


def draw_tracks(above: Any, side: Any, tracks: Tracks, vertical: Vertical, marked: Sequence[int]) -> None:
    """Positions seen from above and from the side, with some view directions; `marked` get numbers."""
    level_N2, heights_N = vertical.level(tracks.positions_N3), vertical.height(tracks.positions_N3)
    long_side = int(np.argmax(np.ptp(level_N2, axis=0)))
    side_N2 = np.column_stack([level_N2[:, long_side], heights_N])
    directions_N3 = tracks.directions_N3
    views_N2 = vertical.level(directions_N3)
    side_views_N2 = np.column_stack([views_N2[:, long_side], vertical.height(directions_N3)])
    length = 0.07 * max(float(np.ptp(level_N2, axis=0).max()), 1e-3)
    shown = np.arange(0, len(tracks), max(1, len(tracks) // ARROWS))
    flat = np.ptp(level_N2[:, long_side]) > FLAT * np.ptp(heights_N)
    for axes, points_N2, ways_N2 in ((above, level_N2, views_N2), (side, side_N2, side_views_N2)):
        for piece in _pieces(tracks):
            axes.plot(*points_N2[piece].T, c=LINE, lw=0.8, zorder=1)
        for split in SPLITS:
            chosen = tracks.of(split)
            if len(chosen):
                axes.scatter(*points_N2[chosen].T, s=7, c=COLOURS[split], label=split, linewidths=0, zorder=2)
        axes.set_aspect("equal")
        axes.grid(alpha=0.25)
        if axes is side and flat:  # stretched heights would rotate the arrows
            continue
        axes.quiver(
            *points_N2[shown].T, *(length * ways_N2[shown]).T,
            angles="xy", scale_units="xy", scale=1, width=0.0022, headwidth=4, zorder=3,
            color=[COLOURS[split] for split in tracks.splits_N[shown]],
        )  # fmt: skip
        axes.update_datalim(points_N2[shown] + length * ways_N2[shown])
        axes.autoscale_view()
    for number, index in enumerate(marked, start=1):
        box = {"boxstyle": "circle,pad=0.15", "fc": "white", "ec": COLOURS[tracks.images[index].split], "alpha": 0.85}
        above.annotate(str(number), level_N2[index], fontsize=7, ha="center", va="center", bbox=box, zorder=4)
    if flat:
        side.set_aspect("auto")
    (first, second, up), unit = vertical.names, unit_name(tracks.units)
    above.set(xlabel=f"{first} [{unit}]", ylabel=f"{second} [{unit}]", title="from above, with the directions of view")
    side.set(
        xlabel=f"{(first, second)[long_side]} [{unit}]",
        ylabel=f"up: {up} [{unit}]",
        title=f"from the side{', heights stretched' if flat else ''}",
    )


def draw_directions(axes: Any, tracks: Tracks, vertical: Vertical) -> None:
    """Share of each split's views in sectors of the compass as seen from above (`axes` is polar)."""
    edges = np.linspace(-180, 180, 2 * SECTORS + 1)
    middles, width = np.radians((edges[:-1] + edges[1:]) / 2), np.radians(edges[1] - edges[0])
    present = [split for split in SPLITS if len(tracks.of(split))]
    for place, split in enumerate(present):
        azimuth_N, _ = vertical.azimuth_elevation_deg(tracks.directions_N3[tracks.of(split)])
        shares = np.histogram(azimuth_N, edges)[0] / len(azimuth_N)
        part = width / len(present)
        axes.bar(middles + (place - (len(present) - 1) / 2) * part, shares, 0.95 * part, color=COLOURS[split])
    axes.set_title("views by direction", fontsize=10)
    axes.set_yticklabels([])
    axes.tick_params(labelsize=7)
    axes.grid(alpha=0.4)


def draw_timeline(axes: Any, tracks: Tracks) -> None:
    """Each run as a row of frames over time: blocks, guard gaps and random splits are easily seen."""
    shown, (unit, scale) = tracks.runs[:SHOWN_RUNS], time_unit(tracks.assumed_rate_hz)
    names = []
    for row, run in enumerate(shown):
        moments = scale * (tracks.stamps_N[run] - tracks.stamps_N[run[0]])
        colours = [COLOURS[split] for split in tracks.splits_N[run]]
        axes.scatter(moments, np.full(len(run), -row), c=colours, marker="|", s=min(120, 500 / len(shown)), lw=0.9)
        names.append(tracks.images[run[0]].sequence)
    axes.set_yticks([-row for row in range(len(shown))], names, fontsize=8)
    axes.set_ylim(-len(shown) + 0.4, 0.6)
    more = f", the first {len(shown)} of {len(tracks.runs)} runs" if len(tracks.runs) > len(shown) else ""
    axes.set(xlabel=f"time in the run [{unit}]")
    axes.set_title(f"splits over time{more}", fontsize=10)
    axes.grid(axis="x", alpha=0.25)


def _pieces(tracks: Tracks) -> list[np.ndarray]:
    """The runs cut where nothing was recorded for long."""
    pieces = []
    for run in tracks.runs:
        period = tracks.period(run)
        long_M = (np.diff(tracks.stamps_N[run]) > GAP_PERIODS * period) & (period > 0)
        pieces += np.split(run, np.flatnonzero(long_M) + 1)
    return pieces

"""The overview image of a data set, for what figures do not show."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from transposenet_core.atomic_files import write_atomically
from transposenet_core.dataset_check.card import Card
from transposenet_core.dataset_check.overview_tracks import COLOURS, draw_directions, draw_timeline, draw_tracks
from transposenet_core.dataset_check.tracks import Tracks
from transposenet_core.errors import UserError
from transposenet_core.geometry.vertical import Vertical
from transposenet_core.image_files import read_image
from transposenet_core.printable import printable
from transposenet_core.scene import time_unit

SHEET_ROWS, SHEET_COLUMNS = 5, 4
CELL_WIDTH = 320
EPIPOLAR = 3


def draw_overview(
    path: str | Path,
    card: Card,
    tracks: Tracks,
    vertical: Vertical,
    images: bool = True,
    epipolar: Sequence[tuple[str, np.ndarray]] = (),
) -> None:
    """Write a PNG: tracks from above and from the side by split, view directions, the splits over time, and, where
    `images` can be read, a contact sheet and `epipolar` pairs: caption and (H, 2W, 3) uint8, at most three.
    """
    from matplotlib.figure import Figure  # half a second to import: only when drawing
    from matplotlib.text import Text

    figure = Figure(figsize=(17 if images else 10.5, 13.5 if epipolar else 10), dpi=100, layout="constrained")
    counts = ", ".join(f"{count} {split}" for split, count in card.frames.items() if count)
    figure.suptitle(f"{printable(card.scene)}: {counts}", fontsize=14)
    bands: Any = figure.subfigures(2, 1, height_ratios=(10, 3.5)) if epipolar else [figure]
    marked = _spread_over(tracks) if images else []
    halves: Any = bands[0].subfigures(1, 2, width_ratios=(1, 1.05)) if images else [bands[0]]
    _draw_poses(halves[0], tracks, vertical, marked)
    if images:
        _draw_sheet(halves[1].subplots(SHEET_ROWS, SHEET_COLUMNS).ravel(), tracks, marked)
        halves[1].suptitle("images, in the order taken", fontsize=11)
    if epipolar:
        bands[1].suptitle("two frames each, with matches and the lines on which the poses put them", fontsize=11)
        for cell, (caption, image_HW3) in zip(bands[1].subplots(1, EPIPOLAR).ravel(), epipolar, strict=False):
            cell.imshow(image_HW3)
            cell.set_title(caption, fontsize=9)
        for cell in bands[1].axes:
            cell.set_axis_off()
    for text in figure.findobj(Text):
        text.set_parse_math(False)  # names may contain anything: a $ is not a formula
    with write_atomically(path) as temporary:
        figure.savefig(temporary)


def _spread_over(tracks: Tracks) -> list[int]:
    """Frames in the order in which they were taken, evenly over all runs."""
    places = np.linspace(0, len(tracks) - 1, min(len(tracks), SHEET_ROWS * SHEET_COLUMNS))
    return np.concatenate(tracks.runs)[np.round(places).astype(int)].tolist()


def _draw_poses(part: Any, tracks: Tracks, vertical: Vertical, marked: Sequence[int]) -> None:
    grid = part.add_gridspec(3, 2, height_ratios=(2.6, 1.3, 0.75), width_ratios=(1.5, 1))
    above = part.add_subplot(grid[0, :])
    draw_tracks(above, part.add_subplot(grid[1, 0]), tracks, vertical, marked)
    draw_directions(part.add_subplot(grid[1, 1], projection="polar"), tracks, vertical)
    draw_timeline(part.add_subplot(grid[2, :]), tracks)
    handles, labels = above.get_legend_handles_labels()
    part.legend(handles, labels, loc="outside upper center", ncols=len(labels), frameon=False, markerscale=3)


def _draw_sheet(cells: Any, tracks: Tracks, marked: Sequence[int]) -> None:
    for cell in cells:
        cell.set(xticks=[], yticks=[])
        cell.set_visible(False)
    for number, (cell, index) in enumerate(zip(cells, marked, strict=False), start=1):
        image = tracks.images[index]
        cell.set_visible(True)
        try:
            image_HW3 = read_image(image.path)
        except UserError:  # the check has reported it; the rest is worth seeing
            cell.text(0.5, 0.5, "unreadable", ha="center", va="center", transform=cell.transAxes)
            image_HW3 = np.full((3, 4, 3), 230, np.uint8)
        scale = CELL_WIDTH / image_HW3.shape[1]
        cell.imshow(cv2.resize(image_HW3, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA))
        for spine in cell.spines.values():
            spine.set(color=COLOURS[image.split], linewidth=3)
        unit, scale = time_unit(tracks.assumed_rate_hz)
        moment = f"{tracks.seconds_N[index]:.1f} s" if unit == "s" else f"frame {image.stamp * scale:.0f}"
        cell.set_title(f"{number}  {image.sequence}  {moment}", fontsize=8, loc="left", pad=3)

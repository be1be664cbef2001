"""The contact sheet of depths: colour image, depth and confidence of some frames beside each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from transposenet_core.atomic_files import write_atomically
from transposenet_core.errors import UserError
from transposenet_core.mapping.report.depth_points import DepthReader
from transposenet_core.mapping.report.frame_depths import FrameDepth
from transposenet_core.printable import printable
from transposenet_core.scene import PosedImage, Scene, unit_name

FRAMES, BLOCKS = 12, 2  # frames on the sheet, and how many of them stand in a row
CELL_WIDTH = 320  # pixels of a colour image on the sheet
HOLE = "#c8ccd0"
WORST = "#d1495b"
DEPTH_COLOURS, CONFIDENCE_COLOURS = "turbo_r", "viridis"
LONGEST_NAME = 44


def draw_contact_sheet(
    path: str | Path,
    scene: Scene,
    facts: Sequence[FrameDepth],
    confidences: Mapping[str, Path] | None = None,
    frames: int = FRAMES,
) -> None:
    """Write a PNG: colour, depth and, by the name of its frame, confidence (an 8-bit PNG), of frames spread over the
    recording and of the one with the least depth, which is marked.

    All depths have one logarithmic scale in the units of the scene; holes are grey. `facts` are those of
    `frame_depths`. UserError where the scene has no depth camera or intrinsics, there are no frames, or a depth or
    confidence image cannot be read.
    """
    from matplotlib.colors import LogNorm, Normalize  # half a second to import: only when drawing
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine
    from matplotlib.text import Text

    reader, confidences = DepthReader(scene), confidences or {}
    shown = choose_frames(facts, frames)
    if not shown:
        raise UserError(f"scene {scene.name} ({scene.root}) has no frames to draw depth of; map training frames")
    worst = int(np.argmin([fact.share for fact in facts]))
    images = {image.name: image for image in scene.images}
    parts = 3 if confidences else 2
    low, high = _common_range([facts[index] for index in shown])
    norms = {"depth": LogNorm(low, high, clip=True), "confidence": Normalize(0, 1, clip=True)}

    rows = -(-len(shown) // BLOCKS)
    aspect = _aspect(reader)
    width = 2.6 * parts * BLOCKS
    engine = ConstrainedLayoutEngine(w_pad=0.03, h_pad=0.04, wspace=0.01, hspace=0.02)
    figure = Figure(figsize=(width, rows * (2.6 / aspect + 0.42) + 1.3), dpi=100, layout=engine)
    cells = figure.subplots(rows, BLOCKS * parts, squeeze=False)
    for cell in cells.ravel():
        cell.set_axis_off()
    for number, index in enumerate(shown):
        column, row = divmod(number, rows)
        block = cells[row, column * parts : (column + 1) * parts]
        fact = facts[index]
        _draw_frame(block, reader, images[fact.name], confidences.get(fact.name), norms)
        _caption(block, fact, unit_name(scene.units), index == worst)
    _scales(figure, cells, norms, parts, unit_name(scene.units))
    what = "colour, depth and confidence" if confidences else "colour and depth"
    figure.suptitle(f"{printable(scene.name)}: {what} of {len(shown)} of {len(facts)} frames", fontsize=12)
    for text in figure.findobj(Text):
        text.set_parse_math(False)  # names may contain anything: a $ is not a formula
    with write_atomically(path) as temporary:
        figure.savefig(temporary)


def choose_frames(facts: Sequence[FrameDepth], count: int = FRAMES) -> list[int]:
    """Indices of at most `count` frames, evenly over the recording; the one with the least depth is among them,
    instead of the one nearest to it."""
    if not facts:
        return []
    places = np.unique(np.linspace(0, len(facts) - 1, min(count, len(facts))).round().astype(int))
    worst = int(np.argmin([fact.share for fact in facts]))
    places[np.argmin(np.abs(places - worst))] = worst
    return np.unique(places).tolist()


def _common_range(facts: Sequence[FrameDepth]) -> tuple[float, float]:
    """Nearest and farthest depth of the frames, in the scene's units."""
    nearest = [fact.nearest for fact in facts if fact.nearest is not None]
    farthest = [fact.farthest for fact in facts if fact.farthest is not None]
    if not nearest:
        return 0.1, 10.0  # nothing to draw: any scale does
    return min(nearest), max(max(farthest), 1.01 * min(nearest))


def _aspect(reader: DepthReader) -> float:
    camera = reader.depth_camera.intrinsics
    return camera.width / camera.height


def _draw_frame(
    block: Any, reader: DepthReader, image: PosedImage, confidence: Path | None, norms: Mapping[str, Any]
) -> None:
    try:
        block[0].imshow(_small(reader.image(image)))
    except UserError:  # the check has reported it; the depth is worth seeing
        block[0].text(0.5, 0.5, "unreadable", ha="center", va="center", transform=block[0].transAxes)
    if image.depth_path is None:
        for cell in block[1:]:
            cell.imshow(np.full((3, 4), np.nan), cmap=_colours(DEPTH_COLOURS), norm=norms["depth"], aspect="auto")
        block[1].text(0.5, 0.5, "no depth", ha="center", va="center", transform=block[1].transAxes)
        return
    depth_HW = reader.rectified(image)[0]
    shown_HW = np.where(depth_HW > 0, depth_HW, np.nan)
    block[1].imshow(shown_HW, cmap=_colours(DEPTH_COLOURS), norm=norms["depth"], interpolation="nearest")
    if confidence is not None and len(block) > 2:
        shown_HW = np.where(depth_HW > 0, read_confidence(confidence, depth_HW.shape), np.nan)
        block[2].imshow(shown_HW, cmap=_colours(CONFIDENCE_COLOURS), norm=norms["confidence"], interpolation="nearest")


def read_confidence(path: Path, shape: tuple[int, ...]) -> np.ndarray:
    """A confidence image as (H, W) float64 from 0 to 1. UserError where it is no 8-bit PNG of the depth's `shape`."""
    confidence_HW = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if confidence_HW is None or confidence_HW.dtype != np.uint8 or confidence_HW.shape != shape[:2]:
        height, width = shape[:2]
        raise UserError(
            f"{path}: not a confidence image (PNG, one 8-bit channel, {width}x{height} as the depth image); map again"
        )
    return confidence_HW / 255.0


def _caption(block: Any, fact: FrameDepth, unit: str, worst: bool) -> None:
    name = printable(fact.name)
    name = name if len(name) <= LONGEST_NAME else f"...{name[3 - LONGEST_NAME :]}"
    depth = "no depth"
    if fact.nearest is not None:
        depth = f"{fact.share:.0%} with depth, {fact.nearest:.3g} to {fact.farthest:.3g} {unit}"
    title = f"{name}\n{depth}{'; the least of all' if worst else ''}"
    block[0].set_title(title, fontsize=8.5, loc="left", pad=3, color=WORST if worst else "black")


def _colours(name: str) -> Any:
    from matplotlib import colormaps

    return colormaps[name].with_extremes(bad=HOLE)


def _scales(figure: Any, cells: Any, norms: Mapping[str, Any], parts: int, unit: str) -> None:
    """A bar each for depth and confidence below the images, and what grey means."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    columns = cells.shape[1]
    half = columns // 2 if parts == 3 else columns
    depth = ScalarMappable(norms["depth"], _colours(DEPTH_COLOURS))
    bar = figure.colorbar(depth, ax=cells[:, :half], location="bottom", shrink=0.8, aspect=45, pad=0.01)
    bar.ax.xaxis.set_major_locator(LogLocator(subs=(1, 1.5, 2, 3, 5, 7)))
    bar.ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    bar.ax.xaxis.set_minor_formatter(NullFormatter())
    bar.set_label(f"depth along the optical axis [{unit}], logarithmic; grey: no depth")
    if parts == 3:
        confidence = ScalarMappable(norms["confidence"], _colours(CONFIDENCE_COLOURS))
        bar = figure.colorbar(confidence, ax=cells[:, half:], location="bottom", shrink=0.8, aspect=45, pad=0.01)
        bar.set_label("confidence; grey: no depth")


def _small(image_HW3: np.ndarray) -> np.ndarray:
    scale = CELL_WIDTH / image_HW3.shape[1]
    return cv2.resize(image_HW3, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)

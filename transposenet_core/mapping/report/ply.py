"""Coloured points as a binary PLY file, which CloudCompare, MeshLab, Open3D and RViz's plugins read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from transposenet_core.atomic_files import write_atomically
from transposenet_core.mapping.report.depth_points import Points

# float32 is exact to this share of a coordinate; beyond it coordinates are written as float64.
FLOAT32_STEP = float(np.finfo(np.float32).eps)
COARSEST = 0.05  # of a point's distance from the camera that saw it, per thousand: rounding that nobody sees


def write_ply(path: str | Path, points: Points, comments: Sequence[str] = ()) -> None:
    """Write points with their colours; `comments` go into the header, their unprintable characters escaped.

    Coordinates are float32, or float64 where the map's origin is so far away that float32 would show as steps.
    """
    kind = np.float32 if fits_float32(points) else np.float64
    record = np.dtype([(axis, np.dtype(kind).newbyteorder("<")) for axis in "xyz"] + [(c, "u1") for c in "rgb"])
    rows_P = np.empty(len(points.depth_P), record)
    for number, (axis, channel) in enumerate(zip("xyz", "rgb", strict=True)):
        rows_P[axis], rows_P[channel] = points.position_P3[:, number], points.colour_P3[:, number]
    with write_atomically(path) as temporary, open(temporary, "wb") as file:
        file.write(_header(len(rows_P), "float" if kind is np.float32 else "double", comments))
        rows_P.tofile(file)


def fits_float32(points: Points) -> bool:
    """Whether rounding to float32 moves no point by more than a 20000th of the distance that it was seen from."""
    if not len(points.depth_P):
        return True
    rounding_P = FLOAT32_STEP * np.abs(points.position_P3).max(axis=1)
    return bool((rounding_P <= COARSEST * 1e-3 * points.depth_P).all())


def _header(count: int, kind: str, comments: Sequence[str]) -> bytes:
    escaped = [text.encode("unicode_escape").decode("ascii") for text in comments]
    lines = ["ply", "format binary_little_endian 1.0", *(f"comment {text}" for text in escaped)]
    lines += [f"element vertex {count}", *(f"property {kind} {axis}" for axis in "xyz")]
    lines += [f"property uchar {channel}" for channel in ("red", "green", "blue")]
    return "\n".join([*lines, "end_header", ""]).encode("ascii")

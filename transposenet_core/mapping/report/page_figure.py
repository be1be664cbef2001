"""The interactive figure of a map: coloured points, cameras before and after, and which moved most."""

from __future__ import annotations

import base64
import html
from typing import Any

import numpy as np

from transposenet_core.geometry.vertical import Vertical
from transposenet_core.mapping.report.depth_points import Points
from transposenet_core.mapping.report.movement import Movement, rotations
from transposenet_core.mapping.report.page_axes import (
    Axes,
    point_of_view,
    scene_layout,
    typical_depth,
    view_boxes,
    view_buttons,
)
from transposenet_core.printable import printable
from transposenet_core.scene import unit_name

RECORDED, ADJUSTED, LINES = "#d1495b", "#2166ac", "#555555"
MOST_CAMERAS = 5000
VIEWS = 400  # cameras whose direction of view is drawn
EXAGGERATION = 10
VIEW_LENGTH = 0.12  # of the typical distance of what the cameras see
LINE_BREAK = np.nan


def map_figure(points: Points, movement: Movement, units: str, vertical: Vertical | None = None) -> dict[str, Any]:
    """A figure of plotly as its JSON schema has it, with "data" and "layout"; up is up. `units` is one of
    `scene.UNITS`. Of many cameras some are left out evenly, never one of the ten that moved most.

    No plotly.graph_objects: their validation takes seconds for the colours of a cloud.
    """
    cameras_N3 = np.concatenate([movement.recorded_N3, movement.adjusted_N3])
    axes = Axes.around(cameras_N3, vertical or movement.vertical(), unit_name(units))
    boxes = view_boxes(axes, points, movement)
    layout = {
        "scene": {**scene_layout(axes, boxes["around the cameras"]), "camera": point_of_view(axes, movement)},
        "margin": {"l": 0, "r": 0, "t": 0, "b": 0},
        "legend": {"x": 0.01, "y": 0.99, "bgcolor": "rgba(255,255,255,0.8)", "itemsizing": "constant"},
        "updatemenus": [view_buttons(boxes)],
        "hoverlabel": {"align": "left"},
        "showlegend": True,
    }
    return {
        "data": [_cloud(axes, points), *_cameras(axes, movement, shown_cameras(movement), points)],
        "layout": layout,
    }


def shown_cameras(movement: Movement) -> np.ndarray:
    """Indices of at most about MOST_CAMERAS frames, evenly over the recording, with those that moved most."""
    step = -(-len(movement) // MOST_CAMERAS)
    return np.union1d(np.arange(0, len(movement), step), movement.moved_most())


def _cloud(axes: Axes, points: Points) -> dict[str, Any]:
    position_P3 = axes.of(points.position_P3)
    colours = [f"#{r:02x}{g:02x}{b:02x}" for r, g, b in points.colour_P3.tolist()]
    return _trace(
        position_P3,
        mode="markers",
        marker={"size": 1.6, "color": colours, "line": {"width": 0}},
        hoverinfo="skip",
        name=f"{len(position_P3)} points",
    )


def _cameras(axes: Axes, movement: Movement, shown: np.ndarray, points: Points) -> list[dict[str, Any]]:
    before_N3, after_N3 = axes.of(movement.recorded_N3[shown]), axes.of(movement.adjusted_N3[shown])
    texts = [hover_text(movement, index, axes.unit) for index in shown]
    drawn = [
        _markers(before_N3, texts, RECORDED, "cameras as recorded"),
        _markers(after_N3, texts, ADJUSTED, "cameras adjusted"),
        _segments(before_N3, after_N3, LINES, "movement", 3, True),
    ]
    far_N3 = before_N3 + EXAGGERATION * (after_N3 - before_N3)
    drawn.append(_segments(before_N3, far_N3, LINES, f"movement, {EXAGGERATION} times as long", 2, "legendonly"))
    some = shown[:: -(-len(shown) // VIEWS)]
    length = VIEW_LENGTH * typical_depth(points)
    ends_N3 = movement.adjusted_N3[some] + length * rotations(movement.adjusted_N4[some])[:, :, 2]
    views = (axes.of(movement.adjusted_N3[some]), axes.of(ends_N3))
    drawn.append(_segments(*views, ADJUSTED, "directions of view, adjusted", 1.5, "legendonly"))
    most = movement.moved_most()
    drawn.append(
        _trace(
            axes.of(movement.adjusted_N3[most]),
            mode="markers+text",
            marker={"size": 6, "symbol": "circle-open", "color": "#000000"},
            text=[str(number) for number in range(1, len(most) + 1)],
            textposition="top center",
            textfont={"size": 13, "color": "#000000"},
            hovertext=[f"{number}: {hover_text(movement, i, axes.unit)}" for number, i in enumerate(most, start=1)],
            hoverinfo="text",
            name=f"the {len(most)} that moved most",
        )
    )
    return drawn


def hover_text(movement: Movement, index: int, unit: str) -> str:
    """A frame's name and movement in plotly's markup; names come from others and are escaped."""
    name = html.escape(printable(movement.names[index]))
    moved, rotated = movement.distance_N[index], movement.rotation_deg_N[index]
    return f"{name}<br>moved {moved:.3g} {unit}, rotated {rotated:.2f} deg"


def _trace(position_N3: np.ndarray, **properties: Any) -> dict[str, Any]:
    """A trace of plotly; numbers as base64 take a third of their text."""
    packed = [base64.b64encode(np.ascontiguousarray(values_N, "<f4").tobytes()).decode() for values_N in position_N3.T]
    xyz = {axis: {"dtype": "f4", "bdata": text} for axis, text in zip("xyz", packed, strict=True)}
    return {"type": "scatter3d", **xyz, **properties}


def _markers(position_N3: np.ndarray, texts: list[str], colour: str, name: str) -> dict[str, Any]:
    marker = {"size": 2.4, "color": colour, "line": {"width": 0}}
    return _trace(position_N3, mode="markers", marker=marker, text=texts, hoverinfo="text", name=name)


def _segments(
    start_N3: np.ndarray, end_N3: np.ndarray, colour: str, name: str, width: float, visible: bool | str
) -> dict[str, Any]:
    """Lines from each start to its end, as one trace with gaps."""
    line_N33 = np.stack([start_N3, end_N3, np.full_like(start_N3, LINE_BREAK)], axis=1)
    line = {"color": colour, "width": width}
    return _trace(line_N33.reshape(-1, 3), mode="lines", line=line, hoverinfo="skip", name=name, visible=visible)

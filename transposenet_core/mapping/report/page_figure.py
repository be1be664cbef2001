"""The interactive figure of a map: coloured points, cameras before and after, and which moved most."""

from __future__ import annotations

import base64
import html
from dataclasses import dataclass
from typing import Any

import numpy as np

from transposenet_core.geometry.vertical import Vertical
from transposenet_core.mapping.report.depth_points import Points
from transposenet_core.mapping.report.movement import Movement, rotations
from transposenet_core.printable import printable
from transposenet_core.scene import unit_name

RECORDED, ADJUSTED, LINES = "#d1495b", "#2166ac", "#555555"
MOST_CAMERAS = 5000
VIEWS = 400  # cameras whose direction of view is drawn
EXAGGERATION = 10
VIEW_LENGTH = 0.12  # of the typical distance of what the cameras see
NEAR_SHARE = 3.0  # half edge of the near view: of the typical distance of what the cameras see
FAR_PERCENTILES = (0.2, 99.8)
LINE_BREAK = np.nan
FAR_ORIGIN = 1000  # times the extent of the track


@dataclass(frozen=True, eq=False)
class Axes:
    """The drawing's axes: two level directions and up, named with their unit; ``shift_3`` is subtracted along them."""

    vertical: Vertical
    unit: str
    shift_3: np.ndarray

    @classmethod
    def around(cls, position_N3: np.ndarray, vertical: Vertical, unit: str) -> Axes:
        """Axes for points near these (N, 3). Where they are far from the map's origin, as geographic coordinates are, a
        round number is subtracted from what is drawn: graphics cards have float32."""
        axes = cls(vertical, unit, np.zeros(3))
        drawn_N3 = axes.of(position_N3)
        middle_3, extent = drawn_N3.mean(axis=0), max(float(np.ptp(drawn_N3, axis=0).max()), 1e-9)
        step = 10 ** np.ceil(np.log10(extent))
        return cls(
            vertical, unit, np.where(np.abs(middle_3) > FAR_ORIGIN * extent, step * np.round(middle_3 / step), 0)
        )

    def of(self, position_N3: np.ndarray) -> np.ndarray:
        """Points (N, 3) of the map along these axes."""
        return np.column_stack([self.vertical.level(position_N3), self.vertical.height(position_N3)]) - self.shift_3

    @property
    def titles(self) -> list[str]:
        first, second, up = self.vertical.names
        shifts = ["" if not shift else f" {'-' if shift > 0 else '+'} {abs(shift):.10g}" for shift in self.shift_3]
        names = zip((first, second, f"up: {up}"), shifts, strict=True)
        return [f"{name}{shift} [{self.unit}]" for name, shift in names]


def map_figure(points: Points, movement: Movement, units: str, vertical: Vertical | None = None) -> dict[str, Any]:
    """A figure of plotly as its JSON schema has it, with "data" and "layout"; up is up. `units` is one of
    `scene.UNITS`. Of many cameras some are left out evenly, never one of the ten that moved most.

    No plotly.graph_objects: their validation takes seconds for the colours of a cloud.
    """
    cameras_N3 = np.concatenate([movement.recorded_N3, movement.adjusted_N3])
    axes = Axes.around(cameras_N3, vertical or movement.vertical(), unit_name(units))
    boxes = _boxes(axes, points, movement)
    layout = {
        "scene": {**_scene(axes, boxes["around the cameras"]), "camera": _eye(axes, movement)},
        "margin": {"l": 0, "r": 0, "t": 0, "b": 0},
        "legend": {"x": 0.01, "y": 0.99, "bgcolor": "rgba(255,255,255,0.8)", "itemsizing": "constant"},
        "updatemenus": [_view_buttons(boxes)],
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


def typical_depth(points: Points) -> float:
    """The median distance of the points from the cameras that saw them; 1 where there are none."""
    return float(np.median(points.depth_P)) if len(points.depth_P) else 1.0


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


def _boxes(axes: Axes, points: Points, movement: Movement) -> dict[str, np.ndarray]:
    """Corners (2, 3) of what the two views show: a city behind a terrace would make the terrace a dot."""
    cameras_N3 = axes.of(np.concatenate([movement.recorded_N3, movement.adjusted_N3]))
    low_3, high_3 = cameras_N3.min(axis=0), cameras_N3.max(axis=0)
    if not len(points.depth_P):
        margin = max(float((high_3 - low_3).max()), 1e-6) / 2
        box = np.stack([low_3 - margin, high_3 + margin])
        return {"around the cameras": box, "everything": box}
    points_P3 = axes.of(points.position_P3)
    far_23 = np.percentile(points_P3, FAR_PERCENTILES, axis=0)
    everything = np.stack([np.minimum(low_3, far_23[0]), np.maximum(high_3, far_23[1])])
    margin = NEAR_SHARE * typical_depth(points)
    near = np.stack([np.maximum(everything[0], low_3 - margin), np.minimum(everything[1], high_3 + margin)])
    return {"around the cameras": near, "everything": everything}


def _scene(axes: Axes, box_23: np.ndarray) -> dict[str, Any]:
    ratio_3 = _ratio(box_23)
    scene: dict[str, Any] = {"aspectmode": "manual", "aspectratio": dict(zip("xyz", ratio_3.tolist(), strict=True))}
    for number, (axis, title) in enumerate(zip("xyz", axes.titles, strict=True)):
        scene[f"{axis}axis"] = {
            "title": {"text": title}, "range": box_23[:, number].tolist(), "backgroundcolor": "#f4f5f6",
            "gridcolor": "#d6dadd", "showspikes": False,
        }  # fmt: skip
    return scene


def _ratio(box_23: np.ndarray) -> np.ndarray:
    edges_3 = np.maximum(np.ptp(box_23, axis=0), 1e-9)
    return 1.3 * edges_3 / edges_3.max()


def _eye(axes: Axes, movement: Movement) -> dict[str, Any]:
    """From behind the cameras and above, so that one looks into the place as they do."""
    ahead_3 = axes.of(rotations(movement.adjusted_N4)[:, :, 2].mean(axis=0)[None])[0]
    level_2 = ahead_3[:2] / max(float(np.linalg.norm(ahead_3[:2])), 1e-9)
    if np.linalg.norm(ahead_3[:2]) < 0.1:  # they look everywhere
        level_2 = np.array([0.6, 0.8])
    behind_2 = -1.3 * level_2 + 0.4 * np.array([level_2[1], -level_2[0]])
    return {
        "up": {"x": 0, "y": 0, "z": 1},
        "center": {"x": 0, "y": 0, "z": -0.15},
        "eye": {"x": float(behind_2[0]), "y": float(behind_2[1]), "z": 1.0},
    }


def _view_buttons(boxes: dict[str, np.ndarray]) -> dict[str, Any]:
    buttons = []
    for label, box_23 in boxes.items():
        change: dict[str, Any] = {"scene.aspectratio": dict(zip("xyz", _ratio(box_23).tolist(), strict=True))}
        for number, axis in enumerate("xyz"):
            change[f"scene.{axis}axis.range"] = box_23[:, number].tolist()
        buttons.append({"label": label, "method": "relayout", "args": [change]})
    return {
        "type": "buttons", "direction": "right", "buttons": buttons,
        "x": 0.99, "xanchor": "right", "y": 0.99, "yanchor": "top",
    }  # fmt: skip

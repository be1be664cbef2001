"""Axes, boxes and point of view of the interactive figure: up is up, and neither near nor far is lost."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from transposenet_core.geometry.vertical import Vertical
from transposenet_core.mapping.report.depth_points import Points
from transposenet_core.mapping.report.movement import Movement, rotations

NEAR_SHARE = 2.0  # half edge of the near view: of the typical distance of what the cameras see
FAR_PERCENTILES = (0.2, 99.8)
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


def typical_depth(points: Points) -> float:
    """The median distance of the points from the cameras that saw them; 1 where there are none."""
    return float(np.median(points.depth_P)) if len(points.depth_P) else 1.0


def view_boxes(axes: Axes, points: Points, movement: Movement) -> dict[str, np.ndarray]:
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


def scene_layout(axes: Axes, box_23: np.ndarray) -> dict[str, Any]:
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


def point_of_view(axes: Axes, movement: Movement) -> dict[str, Any]:
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


def view_buttons(boxes: dict[str, np.ndarray]) -> dict[str, Any]:
    buttons = []
    for label, box_23 in boxes.items():
        change: dict[str, Any] = {"scene.aspectratio": dict(zip("xyz", _ratio(box_23).tolist(), strict=True))}
        for number, axis in enumerate("xyz"):
            change[f"scene.{axis}axis.range"] = box_23[:, number].tolist()
        buttons.append({"label": label, "method": "relayout", "args": [change]})
    return {
        "type": "buttons", "direction": "right", "buttons": buttons,
        "x": 0.99, "xanchor": "right", "y": 0.01, "yanchor": "bottom",  # above are the tools of the figure
    }  # fmt: skip

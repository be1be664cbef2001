"""Camera images beside those that a scene model draws from poses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from transposenet_core.atomic_files import write_atomically
from transposenet_core.geometry.pose import Pose
from transposenet_core.inspection.reconstruction import reconstruct
from transposenet_core.scene_model import SceneModel

COLUMNS = ("the camera's image", "drawn from the true pose", "drawn from the estimated pose")


@dataclass(frozen=True, eq=False)
class ShownFrame:
    """A frame's image (H, W, 3) uint8 RGB, its name, its ground-truth pose and its estimate, if it has one."""

    name: str
    image_HW3: np.ndarray
    ground_truth: Pose
    estimate: Pose | None


def draw_reconstructions(
    path: str | Path, scene_model: SceneModel, frames: Sequence[ShownFrame], scene: str = ""
) -> None:
    """Write a PNG with a row for each frame: what the network saw, and what it draws from either pose in the map of
    `scene`, which may be empty for a model of one scene.

    UserError where the model has no decoder.
    """
    from matplotlib.figure import Figure  # half a second to import: only when drawing

    if not frames:
        raise ValueError("there is no frame to draw")
    figure = Figure(figsize=(10, 2.6 * len(frames) + 0.4), dpi=110, layout="constrained")
    grid: Any = figure.subplots(len(frames), len(COLUMNS), squeeze=False)
    for row, frame in zip(grid, frames, strict=True):
        seen_HW3 = scene_model.preprocessing.seen(frame.image_HW3)
        poses = (frame.ground_truth, frame.estimate)
        drawn = [None if pose is None else reconstruct(scene_model, pose, scene) for pose in poses]
        for cell, image_HW3 in zip(row, (seen_HW3, *drawn), strict=True):
            cell.set_axis_off()
            if image_HW3 is None:
                cell.text(0.5, 0.5, "not localized", ha="center", transform=cell.transAxes)
            else:
                cell.imshow(image_HW3)
        row[0].text(0, -0.04, frame.name, fontsize=7, va="top", transform=row[0].transAxes)
    for cell, title in zip(grid[0], COLUMNS, strict=True):
        cell.set_title(title, fontsize=10)
    with write_atomically(path) as temporary:
        figure.savefig(temporary)

"""Images of an offline evaluation: its track and errors, and reconstructions, of a model that draws images."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from transposenet_core.evaluation.offline_result import OfflineResult
from transposenet_core.evaluation.report import EvaluatedFrame, choose_frames, draw_report
from transposenet_core.inspection.reconstruction import has_decoder
from transposenet_core.inspection.reconstruction_figure import ShownFrame, draw_reconstructions
from transposenet_core.scene import PosedImage, time_unit
from transposenet_core.scene_model import SceneModel


def draw_offline_report(
    folder: Path, result: OfflineResult, scene_model: SceneModel, read: Callable[[PosedImage], np.ndarray]
) -> dict[str, Path]:
    """Write report.png and, of a model that draws images, reconstructions.png; returns the path of each by what it is.

    `read` returns an image as (H, W, 3) uint8 RGB (`offline.image_reader`). OSError where the folder cannot be written.
    """
    images, poses = result.images, result.localized_poses
    unit, scale = time_unit(result.assumed_rate_hz)
    frames = [EvaluatedFrame(scale * image.stamp, image.pose, pose) for image, pose in zip(images, poses, strict=True)]
    shown = {index: read(images[index]) for index in choose_frames(frames)}
    title = f"{result.scene}: {len(result.localized)} of {len(images)} frames localized offline"
    written = {"image": folder / "report.png"}
    draw_report(written["image"], title, frames, result.mapped_scene, shown, result.warnings(), unit)
    if shown and has_decoder(scene_model):
        written["reconstructions"] = folder / "reconstructions.png"
        beside = [ShownFrame(images[i].name, image_HW3, images[i].pose, poses[i]) for i, image_HW3 in shown.items()]
        draw_reconstructions(written["reconstructions"], scene_model, beside, result.mapped_scene.name)
    return written

"""The window of the network in the shape of the camera's images, so that it sees all of them."""

from __future__ import annotations

from dataclasses import replace

from transposenet_core.scene import Scene
from transposenet_core.training.config import TrainConfig

CELL = 16  # pixels: sides of whole cells at reduction level 4
LONGEST = 2.0  # times the shorter side


def fitted_window(config: TrainConfig, scene: Scene) -> TrainConfig:
    """The configuration with `image.fit_camera` carried out: the window's shorter side stays, the other is as many
    whole cells as come nearest to the shape of the scene's images, landscape or portrait, up to `LONGEST` times as
    many. Unchanged without the option, or where the scene does not say how large its images are."""
    image, camera = config.image, scene.intrinsics
    if not image.fit_camera or camera is None:
        return config
    short = min(image.height, image.width)
    shape = min(max(camera.width, camera.height) / min(camera.width, camera.height), LONGEST)
    long = max(round(short * shape / CELL) * CELL, short)
    height, width = (short, long) if camera.width >= camera.height else (long, short)
    return replace(config, image=replace(image, height=height, width=width))

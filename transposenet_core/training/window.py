"""The window of the network with the aspect ratio of the camera's images, so that it sees nearly all of them."""

from __future__ import annotations

from dataclasses import replace

from transposenet_core.scene import Scene
from transposenet_core.training.config import TrainConfig

CELL = 16  # pixels, of a cell at reduction level 4: the longer side is a multiple
LONGEST = 2.0  # times the shorter side


def fitted_window(config: TrainConfig, scene: Scene) -> TrainConfig:
    """The configuration with `image.match_aspect_ratio` carried out: the window's shorter side stays, the other becomes
    the multiple of `CELL` nearest to the aspect ratio of the scene's images, landscape or portrait, up to `LONGEST`
    times the shorter one. Unchanged without the option, or where the scene does not say how large its images are."""
    image, camera = config.image, scene.intrinsics
    if not image.match_aspect_ratio or camera is None:
        return config
    short = min(image.height, image.width)
    shape = min(max(camera.width, camera.height) / min(camera.width, camera.height), LONGEST)
    long = max(round(short * shape / CELL) * CELL, short)
    height, width = (short, long) if camera.width >= camera.height else (long, short)
    return replace(config, image=replace(image, height=height, width=width))


def window_sentence(before: TrainConfig, after: TrainConfig, scene: Scene) -> str:
    """What `fitted_window` changed; "" for nothing."""
    if before.image == after.image or scene.intrinsics is None:
        return ""
    images = f"{scene.intrinsics.width}x{scene.intrinsics.height}"
    return (
        f"the network sees {after.image.width}x{after.image.height} pixels instead of {before.image.width}x"
        f"{before.image.height}: the images of {scene.name} have {images} (image.match_aspect_ratio)"
    )

"""The papers' figure of attention: image, attention of the position's encoder, attention of the orientation's."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from transposenet_core.atomic_files import write_atomically
from transposenet_core.inspection.attention import BRANCHES
from transposenet_core.inspection.attention_overlay import overlay
from transposenet_core.localizer import Localizer

COLUMNS = ("image", "position's attention", "orientation's attention")


def draw_attention(path: str | Path, localizer: Localizer, images: Sequence[np.ndarray], dpi: int = 80) -> None:
    """Write TransPoseNet's Figure 3, a row for each (H, W, 3) uint8 RGB image: the last layer, the token's attention.

    The suffix of `path` chooses the format. ValueError where there is no image or the model has no attention.
    """
    from matplotlib.figure import Figure  # half a second to import: only when drawing

    if not images:
        raise ValueError("there is no image to draw")
    height, width = images[0].shape[:2]
    figure = Figure(figsize=(9, 0.3 + 3 * len(images) * height / width), dpi=dpi, layout="constrained")
    axes = figure.subplots(len(images), len(COLUMNS), squeeze=False)
    for row, image_HW3 in zip(axes, images, strict=True):
        attention = localizer.localize(image_HW3, with_attention=True).attention
        if not set(BRANCHES) <= set(attention):
            raise ValueError("the model has no attention")
        preprocessing = localizer.scene_model.preprocessing
        drawn = [image_HW3, *(overlay(image_HW3, attention[branch], preprocessing) for branch in BRANCHES)]
        for place, image in zip(row, drawn, strict=True):
            place.imshow(image)
            place.axis("off")
    for place, title in zip(axes[0], COLUMNS, strict=True):
        place.set_title(title, fontsize=10)
    with write_atomically(path) as temporary:
        figure.savefig(temporary)

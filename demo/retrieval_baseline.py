"""The retrieval baseline of the demo: thumbnails of all training views in one image, so that none is rendered."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np

from demo.drives import training_drives
from transposenet_core.atomic_files import write_atomically
from transposenet_core.errors import UserError
from transposenet_core.evaluation.baselines import THUMBNAIL_SIZE, ThumbnailRetrieval
from transposenet_core.image_files import read_image

THUMBNAILS = "training_thumbnails.png"
COLUMNS = 50


def write_thumbnails(path: Path, images: Iterable[np.ndarray]) -> None:
    """Images (H, W, 3) uint8 as a grid of thumbnails, row by row, as the retrieval baseline would make them."""
    small = [cv2.resize(image_HW3, THUMBNAIL_SIZE, interpolation=cv2.INTER_AREA) for image_HW3 in images]
    small += [np.zeros_like(small[0])] * (-len(small) % COLUMNS)
    rows = [np.hstack(small[start : start + COLUMNS]) for start in range(0, len(small), COLUMNS)]
    with write_atomically(path) as temporary:
        cv2.imwrite(str(temporary), cv2.cvtColor(np.vstack(rows), cv2.COLOR_RGB2BGR))


def load_retrieval_baseline(path: Path) -> ThumbnailRetrieval:
    """The retrieval baseline with all training views of the demo. UserError if the file does not contain them."""
    poses = [pose for drive in training_drives() for pose in drive.poses]
    grid_HW3 = read_image(path)
    width, height = THUMBNAIL_SIZE
    rows = -(-len(poses) // COLUMNS)
    if grid_HW3.shape != (rows * height, COLUMNS * width, 3):
        raise UserError(
            f"{path}: {grid_HW3.shape} pixels, not {len(poses)} thumbnails; rebuild it with make demo-model"
        )
    cells = grid_HW3.reshape(rows, height, COLUMNS, width, 3).swapaxes(1, 2).reshape(-1, height, width, 3)
    return ThumbnailRetrieval(list(cells[: len(poses)]), poses)

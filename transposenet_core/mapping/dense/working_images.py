"""The images of a map as depth from motion compares them: rectified, grey and small."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np

from transposenet_core.file_hash import sha256_of
from transposenet_core.geometry.intrinsics import Intrinsics
from transposenet_core.geometry.undistortion import Undistorter
from transposenet_core.mapping.dense.plane_sweep import OUTSIDE, View
from transposenet_core.mapping.sparse_map import SparseMap
from transposenet_core.preprocessing import read_rectified

KEPT = 512  # images in memory: 77 kB each at 160x120; a frame's neighbours are mostly those of the frame before
MIDDLE_GREY = 128.0


def working_size(width: int, height: int, pixels: int) -> tuple[int, int]:
    """Width and height of about so many pixels with the same aspect ratio; never larger than the image itself."""
    scale = min(1.0, (pixels / (width * height)) ** 0.5)
    return max(1, round(width * scale)), max(1, round(height * scale))


class WorkingImages:
    """Reads the images of a map's frames by number. ``pinhole`` are the intrinsics of what it returns, ``mask_HW``
    tells what the lens sees of it."""

    def __init__(self, sparse: SparseMap, pixels: int) -> None:
        self._sparse = sparse
        self._undistorter = Undistorter(sparse.intrinsics)
        camera = self._undistorter.rectified
        self._size = working_size(camera.width, camera.height, pixels)
        self.pinhole: Intrinsics = camera.resized(*self._size)
        self.mask_HW = self._mask()
        self.view = lru_cache(maxsize=KEPT)(self._read)

    def key(self, frame: int) -> str:
        """The hash of a frame's image file."""
        return sha256_of(self._sparse.frames[frame].image.path)

    def _read(self, frame: int) -> View:
        """The frame's image (H, W) and adjusted pose. UserError as `read_rectified`."""
        mapped = self._sparse.frames[frame]
        image_HW3 = read_rectified(mapped.image.path, self._undistorter)
        grey_HW = cv2.cvtColor(image_HW3, cv2.COLOR_RGB2GRAY).astype(np.float32) - np.float32(MIDDLE_GREY)
        grey_HW = cv2.resize(grey_HW, self._size, interpolation=cv2.INTER_AREA)
        grey_HW[~self.mask_HW] = OUTSIDE
        return View(grey_HW, mapped.T_map_camera)

    def _mask(self) -> np.ndarray:
        """Whole pixels alone: the rim of what the lens sees is mixed with black."""
        camera = self._sparse.intrinsics
        white_HW3 = np.full((camera.height, camera.width, 3), 255, np.uint8)
        seen_HW = self._undistorter(white_HW3)[..., 0]
        return cv2.resize(seen_HW.astype(np.float32), self._size, interpolation=cv2.INTER_AREA) > 254.0

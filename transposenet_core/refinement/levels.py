"""Grey images at the sizes that tracking works at, with what gain, exposure and vignetting change taken out."""

from __future__ import annotations

import cv2
import numpy as np

SPREAD_PX = 5.0  # standard deviation of the neighbourhood that a pixel is compared with, at full size
FLAT = 6.0  # grey levels: what varies by less is noise, and is not made to look like texture
MIDDLE = 128  # what has the brightness of its neighbourhood
CONTRAST = 42.0  # grey levels that one local standard deviation becomes: three of them fit into a byte


def grey_of(image_HW3: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """An RGB image (H, W, 3) uint8 as grey (h, w) uint8 of `size` (width, height): means of the pixels, and where it
    has fewer than that, interpolated ones."""
    shrinks = image_HW3.shape[1] >= size[0]
    # The mean of all pixels, then grey: a quarter of the bytes of the other order where the image is large.
    small_HW3 = cv2.resize(image_HW3, size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
    return cv2.cvtColor(small_HW3, cv2.COLOR_RGB2GRAY)


def sizes_of(grey_HW: np.ndarray) -> list[np.ndarray]:
    """The image at half its size, to begin far away, and at the whole, each normalised by its neighbourhood."""
    height, width = grey_HW.shape
    smaller_HW = cv2.resize(grey_HW, (width // 2, height // 2), interpolation=cv2.INTER_AREA)
    return [locally_normalised(smaller_HW, SPREAD_PX / 2), locally_normalised(grey_HW, SPREAD_PX)]


def locally_normalised(grey_HW: np.ndarray, spread_px: float) -> np.ndarray:
    """(H, W) uint8: how many standard deviations of its neighbourhood each pixel is brighter than that."""
    value_HW = grey_HW.astype(np.float32)
    mean_HW = cv2.GaussianBlur(value_HW, (0, 0), spread_px)
    away_HW = value_HW - mean_HW
    variance_HW = cv2.GaussianBlur(away_HW * away_HW, (0, 0), spread_px)
    scaled_HW = away_HW * (CONTRAST / np.sqrt(variance_HW + FLAT * FLAT)) + MIDDLE
    return np.clip(scaled_HW, 0, 255).astype(np.uint8)

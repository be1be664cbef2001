"""An encoder's attention as a heat map over the image (TransPoseNet, section 4.2 and Figure 3)."""

from __future__ import annotations

import math
from functools import cache

import cv2
import numpy as np

from transposenet_core.preprocessing import Preprocessing

# Brightness of the image inside and outside of the window that the network saw, and of the heat on top.
INSIDE, OUTSIDE, HEAT = 0.5, 0.2, 0.7


def overlay(image_HW3: np.ndarray, attention_HW: np.ndarray, preprocessing: Preprocessing) -> np.ndarray:
    """The image (H, W, 3) uint8 RGB with the map (H_m, W_m) over the window that the network saw; the rest is dark.

    Colours show the square root of attention as a share of the map's largest value: they compare places in one
    image, not two images. The map's cells divide the window evenly, which is exact to a cell's fraction at its
    right and lower edge where the window is no multiple of the cell.
    """
    top, left, bottom, right = preprocessing.window(*image_HW3.shape[:2])
    rows, columns = slice(math.floor(top), math.ceil(bottom)), slice(math.floor(left), math.ceil(right))
    seen_HW3 = image_HW3[rows, columns]
    attention_HW = np.nan_to_num(attention_HW, posinf=0.0)
    share_HW = np.sqrt(attention_HW / max(attention_HW.max(), np.finfo(np.float32).tiny))
    size = seen_HW3.shape[1], seen_HW3.shape[0]
    heat_HW = cv2.resize(np.round(255 * share_HW).astype(np.uint8), size, interpolation=cv2.INTER_CUBIC)
    drawn_HW3 = cv2.convertScaleAbs(image_HW3, alpha=OUTSIDE)
    drawn_HW3[rows, columns] = cv2.addWeighted(seen_HW3, INSIDE, cv2.applyColorMap(heat_HW, _colours()), HEAT, 0)
    return drawn_HW3


@cache
def _colours() -> np.ndarray:
    """Black to yellow, ever brighter: readable without colour vision. OpenCV's map in RGB, (256, 1, 3)."""
    return cv2.applyColorMap(np.arange(256, dtype=np.uint8)[:, None], cv2.COLORMAP_INFERNO)[..., ::-1].copy()

"""Which pixel with a known value is nearest to each pixel of an image."""

from __future__ import annotations

import cv2
import numpy as np


def nearest_known(known_HW: np.ndarray) -> np.ndarray:
    """The flat index (H, W) of the nearest pixel that is known, of which there has to be one."""
    _, labels_HW = cv2.distanceTransformWithLabels(
        (~known_HW).astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    index_of_label = np.zeros(labels_HW.max() + 1, int)
    index_of_label[labels_HW[known_HW]] = np.flatnonzero(known_HW)
    return index_of_label[labels_HW]

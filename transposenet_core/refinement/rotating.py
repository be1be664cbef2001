"""A first guess for predictions that are far off: the yaw and pitch that bring the query onto a keyframe.

A rotation of some degrees moves the whole image and nothing in it, so one comparison of small images finds it, where
tracking single corners over so many pixels would fail.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from transposenet_core.geometry.intrinsics import Intrinsics
from transposenet_core.geometry.pose import Pose
from transposenet_core.refinement.template import Template
from transposenet_core.refinement.warp import warped

MARGIN = 0.3  # of the keyframe's sides, left out on each side: by so much the image may be moved
LEAST_LIKENESS = 0.25  # correlation: below it nothing was found


def rotated_towards(
    templates: Sequence[Template], query_HW: np.ndarray, camera: Intrinsics, T_map_query: Pose
) -> tuple[Pose, float]:
    """The predicted pose, rotated so that the query's image (H, W) uint8 at the smallest size lies on that of the most
    similar keyframe, and their correlation; as it was, and LEAST_LIKENESS, where none is alike in any way."""
    best, rotation_33 = LEAST_LIKENESS, np.eye(3)
    for template in templates:
        keyframe_HW = template.levels[0].image_HW
        seen_HW, _, _ = warped(template, keyframe_HW.shape, query_HW, camera, T_map_query)
        height, width = keyframe_HW.shape
        top, left = round(MARGIN * height), round(MARGIN * width)
        middle_hw = keyframe_HW[top : height - top, left : width - left]
        _, likeness, _, (x, y) = cv2.minMaxLoc(cv2.matchTemplate(seen_HW, middle_hw, cv2.TM_CCOEFF_NORMED))
        if likeness > best:
            best = likeness
            # The keyframe's middle is seen (x - left, y - top) beside where the prediction puts it.
            pinhole = template.camera.resized(width, height)
            yaw, pitch = np.arctan2(x - left, pinhole.fx), np.arctan2(y - top, pinhole.fy)
            R = template.R_map_keyframe
            rotation_33 = R @ cv2.Rodrigues(np.array([pitch, -yaw, 0.0]))[0] @ R.T
    T_44 = T_map_query.matrix_44
    T_44[:3, :3] = rotation_33 @ T_44[:3, :3]
    return Pose.from_matrix(T_44), best

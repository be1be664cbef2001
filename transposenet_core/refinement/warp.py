"""The query as the keyframe's camera would see it."""

from __future__ import annotations

import cv2
import numpy as np

from transposenet_core.geometry.intrinsics import Intrinsics
from transposenet_core.geometry.pose import Pose
from transposenet_core.refinement.levels import MIDDLE
from transposenet_core.refinement.template import Template

NEAREST = 0.05  # of a point in front of the query's camera, as a share of its depth in the keyframe
OUTSIDE = -1e4  # pixels


def warped(
    template: Template, shape: tuple[int, int], query_HW: np.ndarray, camera: Intrinsics, T_map_query: Pose
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The query's image (H, W) uint8 of a pinhole `camera` at a pose, in the keyframe's view with the `shape` (height,
    width), grey where the query does not see; and x and y of each pixel in the query, float32. By the keyframe's depth,
    without regard to what hides what."""
    R_map_query = T_map_query.rotation_33
    R_query_keyframe = (R_map_query.T @ template.R_map_keyframe).astype(np.float32)
    t_query_keyframe = R_map_query.T @ (template.T_map_keyframe.position - T_map_query.position)
    points_hw3 = template.surface_hw3 @ R_query_keyframe.T + t_query_keyframe.astype(np.float32)
    z_hw = points_hw3[..., 2]
    behind_hw = z_hw <= NEAREST * template.surface_hw3[..., 2]
    np.maximum(z_hw, 1e-9, out=z_hw)
    x_hw = points_hw3[..., 0] / z_hw * np.float32(camera.fx) + np.float32(camera.cx)
    y_hw = points_hw3[..., 1] / z_hw * np.float32(camera.fy) + np.float32(camera.cy)
    x_hw[behind_hw] = y_hw[behind_hw] = OUTSIDE
    x_HW, y_HW = (cv2.resize(values_hw, shape[::-1]) for values_hw in (x_hw, y_hw))
    seen_HW = cv2.remap(query_HW, x_HW, y_HW, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=MIDDLE)
    return seen_HW, x_HW, y_HW

"""A last way to a first guess: features that are matched wherever they are, for views of which no corner is tracked.

Tracking needs a prediction from which both images look alike. Between views that are tens of degrees apart single
features still do (SIFT: Lowe 2004, with the square root of Arandjelovic and Zisserman 2012); some of them and the depth
of the keyframe give a pose (EPnP in RANSAC). It takes ten times as long as tracking and is exact to some percent of the
depth only, so it is where refinement begins, and only where all else has failed.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from transposenet_core.geometry.intrinsics import Intrinsics
from transposenet_core.geometry.pose import Pose

ENLARGED = 2  # small images have few features at their own size
MOST_FEATURES, CONTRAST = 400, 0.02
RATIO = 0.85  # of the distances to the nearest and the second nearest descriptor
LEAST_MATCHES, OUTLIER_PX, ITERATIONS = 8, 2.5, 200


@dataclass(frozen=True, eq=False)
class Features:
    """Where features are in an image's pixels (N, 2), and unit descriptors (N, 128) float32 of them."""

    pixels_N2: np.ndarray
    descriptors_N128: np.ndarray

    @classmethod
    def of(cls, grey_HW: np.ndarray) -> Features:
        """Of an image (H, W) uint8."""
        large_HW = cv2.resize(grey_HW, None, fx=ENLARGED, fy=ENLARGED, interpolation=cv2.INTER_CUBIC)
        found, values = cv2.SIFT.create(MOST_FEATURES, contrastThreshold=CONTRAST).detectAndCompute(large_HW, None)
        if values is None or not len(found):
            return cls(np.zeros((0, 2)), np.zeros((0, 128), np.float32))
        pixels_N2 = (np.array([keypoint.pt for keypoint in found]) + 0.5) / ENLARGED - 0.5
        return cls(pixels_N2, np.sqrt(values / np.maximum(values.sum(axis=1, keepdims=True), 1e-9)))


@dataclass(frozen=True, eq=False)
class KnownFeatures:
    """Descriptors (N, 128) of a keyframe's features that have depth, and their points in the map (N, 3)."""

    descriptors_N128: np.ndarray
    points_N3: np.ndarray

    @classmethod
    def of(cls, grey_HW: np.ndarray, depth_hw: np.ndarray, camera: Intrinsics, pose: Pose) -> KnownFeatures:
        """Of a keyframe's image (H, W) uint8, its depth (h, w), 0 where unknown, its pinhole and ``T_map_camera``."""
        found = Features.of(grey_HW)
        height, width = depth_hw.shape
        there_N2 = np.rint((found.pixels_N2 + 0.5) * (width / camera.width) - 0.5).astype(int)
        column_N, row_N = np.clip(there_N2, 0, [width - 1, height - 1]).T
        z_N = depth_hw[row_N, column_N].astype(np.float64)
        known_N = z_N > 0
        ray_N2 = (found.pixels_N2 - [camera.cx, camera.cy]) / [camera.fx, camera.fy]
        local_N3 = np.column_stack((ray_N2 * z_N[:, None], z_N))[known_N]
        return cls(found.descriptors_N128[known_N], local_N3 @ pose.rotation_33.T + pose.position)


def pose_by_features(query: Features, known: KnownFeatures, camera: Intrinsics) -> tuple[int, Pose] | None:
    """How many features agree on a pose of a pinhole `camera`, and ``T_map_camera``; None where they agree on none."""
    if min(len(query.pixels_N2), len(known.points_N3)) < LEAST_MATCHES:
        return None
    likeness_NM = query.descriptors_N128 @ known.descriptors_N128.T
    best_N2 = np.argpartition(-likeness_NM, 1, axis=1)[:, :2]
    all_N = np.arange(len(best_N2))
    values_N2 = likeness_NM[all_N[:, None], best_N2]
    first_N = best_N2[all_N, values_N2.argmax(axis=1)]
    nearest_N, second_N = (np.sqrt(np.maximum(2 - 2 * v, 0)) for v in (values_N2.max(axis=1), values_N2.min(axis=1)))
    mutual_N = likeness_NM.argmax(axis=0)[first_N] == all_N
    kept_N = mutual_N & (nearest_N < RATIO * second_N)
    if kept_N.sum() < LEAST_MATCHES:
        return None
    try:
        found, rotation_3, translation_3, inliers = cv2.solvePnPRansac(
            np.ascontiguousarray(known.points_N3[first_N[kept_N]]),
            np.ascontiguousarray(query.pixels_N2[kept_N]),
            camera.matrix_33,
            np.zeros(4),
            reprojectionError=OUTLIER_PX,
            iterationsCount=ITERATIONS,
            flags=cv2.SOLVEPNP_EPNP,
        )
        if not found or inliers is None or len(inliers) < LEAST_MATCHES:
            return None
        T_map_camera = np.eye(4)
        T_map_camera[:3, :3] = cv2.Rodrigues(np.asarray(rotation_3))[0].T
        T_map_camera[:3, 3] = -T_map_camera[:3, :3] @ np.asarray(translation_3).ravel()
        return len(inliers), Pose.from_matrix(T_map_camera)
    except (cv2.error, ValueError):  # degenerate points
        return None

"""Key points of two images that show the same thing, verified by the geometry of two views."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from scipy.spatial.transform import Rotation

from transposenet_core.mapping.adjust.features import Features

RATIO = 0.85  # Lowe's: of the best to the second best distance
LEAST_INLIERS = 15
LEAST_SHARE = 0.25  # of the matches that agree with one motion of the camera
EPIPOLAR_PX = 2.0  # at 640 pixels of width; a lens that does not quite fit bends the lines


@dataclass(frozen=True, eq=False)
class Match:
    """``index_K2`` (K, 2) int32: key points of the first and the second image that belong together."""

    first: int
    second: int
    index_K2: np.ndarray


def mutual_matches(a: Features, b: Features) -> np.ndarray:
    """Indices (K, 2) of descriptors that are each other's nearest and clearly nearer than the second one."""
    if min(len(a.descriptor_KD), len(b.descriptor_KD)) < 2:
        return np.zeros((0, 2), np.int32)
    first, second = (f.descriptor_KD.astype(np.float32) / 512.0 for f in (a, b))
    similarity_AB = first @ second.T
    best_A = similarity_AB.argmax(axis=1)
    top_A = similarity_AB[np.arange(len(best_A)), best_A]
    mutual_A = similarity_AB.argmax(axis=0)[best_A] == np.arange(len(best_A))
    rows = np.flatnonzero(mutual_A)
    rest = similarity_AB[rows]
    rest[np.arange(len(rows)), best_A[rows]] = -1
    # Distances of unit vectors from their cosines.
    clear = 1 - top_A[rows] < RATIO**2 * (1 - rest.max(axis=1))
    return np.column_stack([rows[clear], best_A[rows[clear]]]).astype(np.int32)


def verified(
    index_K2: np.ndarray,
    ray_a_K3: np.ndarray,
    ray_b_K3: np.ndarray,
    focal: float,
    width: int,
    recorded: tuple[np.ndarray, float] | None = None,
) -> np.ndarray:
    """The matches (K, 2) that one motion of the camera explains; none where it explains too few.

    `ray_a_K3` and `ray_b_K3` are the lines of sight of the matched key points in their cameras, `recorded` the rotation
    ``R_b_a`` (3, 3) by the recorded poses and how many degrees the images' may differ from it: alike places that are
    not the same one look as if the camera had turned.
    """
    none = index_K2[:0]
    front = (ray_a_K3[:, 2] > 0.1) & (ray_b_K3[:, 2] > 0.1)
    index_K2, ray_a_K3, ray_b_K3 = index_K2[front], ray_a_K3[front], ray_b_K3[front]
    if len(index_K2) < LEAST_INLIERS:
        return none
    a_K2, b_K2 = (np.ascontiguousarray(ray[:, :2] / ray[:, 2:]) for ray in (ray_a_K3, ray_b_K3))
    limit = EPIPOLAR_PX * width / 640 / focal
    E_33, mask = cv2.findEssentialMat(a_K2, b_K2, np.eye(3), cv2.USAC_MAGSAC, 0.999, limit, 1000)
    if E_33 is None or mask is None or E_33.shape != (3, 3):
        return none
    inlier_K = mask.ravel().astype(bool)
    if inlier_K.sum() < max(LEAST_INLIERS, LEAST_SHARE * len(index_K2)):
        return none
    if recorded is not None:
        R1_33, R2_33, _ = cv2.decomposeEssentialMat(E_33)
        apart = [np.degrees((Rotation.from_matrix(R @ recorded[0].T)).magnitude()) for R in (R1_33, R2_33)]
        if min(apart) > recorded[1]:
            return none
    return index_K2[inlier_K]

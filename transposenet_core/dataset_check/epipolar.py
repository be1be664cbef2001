"""An image to look at: two frames, matches in them, and where the stored poses predict the first one's points."""

from __future__ import annotations

import cv2
import numpy as np
from scipy.spatial.transform import Rotation

from transposenet_core.dataset_check.agreement import ray_distances, relative_motion
from transposenet_core.dataset_check.lens import Lens
from transposenet_core.dataset_check.matching import MatchedPair
from transposenet_core.geometry.pose import stack
from transposenet_core.image_files import read_image
from transposenet_core.scene import PosedImage

SHOWN = 12
# Depths of the half lines' points in units of the distance between the two cameras: from near to almost infinity.
DEPTHS = np.geomspace(0.3, 1e4, 160)


def median_residual_px(pair: MatchedPair, lens: Lens) -> float:
    """Median distance in pixels of a pair's matches from where its poses (``T_map_camera``) predict them."""
    return float(np.median(ray_distances(pair, *_motion(pair)))) * lens.focal


def epipolar_image(pair: MatchedPair, lens: Lens, shown: int = SHOWN) -> np.ndarray:
    """Both frames side by side (H, 2W, 3) uint8 RGB.

    Each colour is one match: a ring in both frames, and in the second one the half line on which the poses put the
    point. Rings on their lines mean that the poses explain the motion. UserError where an image cannot be read.
    """
    size = lens.intrinsics.width, lens.intrinsics.height
    left_HW3, right_HW3 = (_image(frame, size) for frame in (pair.first, pair.second))
    R, t = _motion(pair)
    for n, k in enumerate(_spread(pair.pixels_first_N2, shown)):
        colour = tuple(int(value) for value in _colours(shown)[n])
        line_K2 = _half_line(pair.rays_first_N2[k], R, t, lens)
        cv2.polylines(right_HW3, [np.round(line_K2 * 8).astype(np.int32)], False, colour, 1, cv2.LINE_AA, shift=3)
        for image_HW3, pixel_2 in ((left_HW3, pair.pixels_first_N2[k]), (right_HW3, pair.pixels_second_N2[k])):
            centre = tuple(int(value) for value in np.round(pixel_2 * 8))
            cv2.circle(image_HW3, centre, 5 * 8, colour, 2, cv2.LINE_AA, shift=3)
    return np.hstack([left_HW3, right_HW3])


def _motion(pair: MatchedPair) -> tuple[np.ndarray, np.ndarray]:
    p_23, q_24 = stack([pair.first.pose, pair.second.pose])
    return relative_motion(p_23, Rotation.from_quat(q_24, scalar_first=True))


def _image(frame: PosedImage, size: tuple[int, int]) -> np.ndarray:
    return np.ascontiguousarray(cv2.resize(read_image(frame.path), size, interpolation=cv2.INTER_AREA))


def _spread(pixels_N2: np.ndarray, count: int) -> list[int]:
    """Indices of points far from each other: each one is the farthest from those before it."""
    chosen = [0]
    distance_N = np.linalg.norm(pixels_N2 - pixels_N2[0], axis=1)
    while len(chosen) < min(count, len(pixels_N2)):
        chosen.append(int(distance_N.argmax()))
        distance_N = np.minimum(distance_N, np.linalg.norm(pixels_N2 - pixels_N2[chosen[-1]], axis=1))
    return chosen


def _colours(count: int) -> np.ndarray:
    """Bright colours (count, 3) uint8 RGB around the circle of hues."""
    hsv_1N3 = np.array([[(180 * k // count, 255, 255) for k in range(count)]], np.uint8)
    return cv2.cvtColor(hsv_1N3, cv2.COLOR_HSV2RGB)[0]


def _half_line(ray_2: np.ndarray, R: np.ndarray, t: np.ndarray, lens: Lens) -> np.ndarray:
    """Where the second frame sees the points of a first frame's ray: pixels (K, 2), none where it is behind."""
    points_K3 = (DEPTHS * max(float(np.linalg.norm(t)), 1e-9))[:, None] * np.append(ray_2, 1.0) @ R.T + t
    before_K = points_K3[:, 2] > 1e-2 * np.linalg.norm(points_K3, axis=1)
    if not before_K.any():
        return np.empty((0, 2))
    pixels_K2 = lens.pixels(points_K3[before_K])
    # A far-off point would overflow OpenCV's fixed-point coordinates.
    span = 3 * max(lens.intrinsics.width, lens.intrinsics.height)
    return pixels_K2[np.abs(pixels_K2).max(axis=1) < span]

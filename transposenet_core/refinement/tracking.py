"""From a predicted pose to matches: the query is warped into a keyframe's view, and the keyframe's corners are tracked
into it (Lucas and Kanade 1981, in pyramids: Bouguet 2000).

After the warp both images show the same surfaces at the same size and inclination, so what is left to track is small
and nearly a translation, whatever the two cameras and the way between them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from transposenet_core.geometry.intrinsics import Intrinsics
from transposenet_core.geometry.pose import Pose
from transposenet_core.refinement.template import Template, sampled
from transposenet_core.refinement.warp import OUTSIDE, warped

WINDOW_PX = 11  # of a tracked patch
PYRAMID = 3  # levels above an image that tracking begins at
STOP = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 10, 0.05)


@dataclass(frozen=True, eq=False)
class Matches:
    """Points of the map (N, 3) and where the query shows them (N, 2), in pixels of the query at its size of this level;
    of ``tried`` corners that should be seen. ``corner_N2`` is where the keyframe shows them, as shares of its sides,
    and ``keyframe_N`` numbers the keyframe. ``nearness_N`` is the inverse of a corner's depth, by which the image of a
    near thing moves more than that of a far one; ``tried_nearness`` is its sum over those that were tried."""

    points_N3: np.ndarray
    pixels_N2: np.ndarray
    corner_N2: np.ndarray
    keyframe_N: np.ndarray
    tried: int
    nearness_N: np.ndarray
    tried_nearness: float

    def __len__(self) -> int:
        return len(self.points_N3)

    @classmethod
    def of_none(cls) -> Matches:
        return cls(np.zeros((0, 3)), np.zeros((0, 2)), np.zeros((0, 2)), np.zeros(0, int), 0, np.zeros(0), 0.0)

    @classmethod
    def joined(cls, several: Sequence[Matches]) -> Matches:
        """Those of several keyframes, numbered in their order."""
        if not several:
            return cls.of_none()
        names = ("points_N3", "pixels_N2", "corner_N2")
        points, pixels, corners = (np.concatenate([getattr(m, name) for m in several]) for name in names)
        numbers = np.concatenate([np.full(len(m), n) for n, m in enumerate(several)])
        tried, nearness = sum(m.tried for m in several), np.concatenate([m.nearness_N for m in several])
        return cls(points, pixels, corners, numbers, tried, nearness, sum(m.tried_nearness for m in several))


def track(template: Template, size: int, query_HW: np.ndarray, camera: Intrinsics, T_map_query: Pose) -> Matches:
    """The matches of a keyframe at the `size`-th of its sizes with a query image (H, W) uint8 of a pinhole `camera`,
    normalised as the keyframe's, whose pose is about `T_map_query`."""
    level = template.levels[size]
    if not len(level.corners_N2):
        return Matches.of_none()
    shape = level.image_HW.shape
    seen_HW, x_HW, y_HW = warped(template, shape, query_HW, camera, T_map_query)
    x_N, y_N = (sampled(values_HW, level.corners_N2, cv2.BORDER_CONSTANT, OUTSIDE) for values_HW in (x_HW, y_HW))
    before_N = _inside(x_N, y_N, camera)
    corners_N2, points_N3 = level.corners_N2[before_N], level.points_N3[before_N]
    if not len(corners_N2):
        return Matches.of_none()
    guess: Any = None
    tracked_N2, found_N1, _ = cv2.calcOpticalFlowPyrLK(
        level.image_HW, seen_HW, corners_N2, guess, winSize=(WINDOW_PX, WINDOW_PX), maxLevel=PYRAMID, criteria=STOP
    )
    x_N, y_N = (sampled(values_HW, tracked_N2, cv2.BORDER_CONSTANT, OUTSIDE) for values_HW in (x_HW, y_HW))
    kept_N = (found_N1[:, 0] > 0) & _inside(x_N, y_N, camera)
    pixels_N2 = np.column_stack((x_N, y_N))[kept_N].astype(np.float64)
    shares_N2 = (corners_N2[kept_N] + 0.5) / np.array(shape[::-1])
    nearness_N = level.nearness_N[before_N]
    return Matches(
        points_N3[kept_N],
        pixels_N2,
        shares_N2,
        np.zeros(len(pixels_N2), int),
        len(corners_N2),
        nearness_N[kept_N],
        float(nearness_N.sum()),
    )


def _inside(x_N: np.ndarray, y_N: np.ndarray, camera: Intrinsics) -> np.ndarray:
    return (x_N >= 0) & (x_N <= camera.width - 1) & (y_N >= 0) & (y_N <= camera.height - 1)

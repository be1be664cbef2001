"""A keyframe made ready for tracking: its corners with their points in the map, and its depth without holes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from transposenet_core.geometry.intrinsics import Intrinsics
from transposenet_core.geometry.nearest_pixel import nearest_known
from transposenet_core.geometry.pose import Pose
from transposenet_core.refinement.levels import sizes_of

CORNERS = 128
CORNER_QUALITY, CORNERS_APART_PX = 0.01, 5
STEP = 0.08  # in depth between neighbouring pixels, as a share: more is an edge, where a patch is of two things


@dataclass(frozen=True, eq=False)
class Level:
    """A keyframe at one size: its normalised image (H, W) uint8, and the corners that have depth, in its pixels (N, 2)
    float32 and in the map (N, 3), with the inverse of their depth (N,)."""

    image_HW: np.ndarray
    corners_N2: np.ndarray
    points_N3: np.ndarray
    nearness_N: np.ndarray


@dataclass(frozen=True, eq=False)
class Template:
    """``levels`` by size, the smallest first. ``surface_hw3`` are the points (h, w, 3) float32 in the keyframe's own
    frame that its pixels show, at the size of its depth, holes filled from the nearest known pixel: good enough to warp
    an image by. Corners lie on known depth alone."""

    T_map_keyframe: Pose
    R_map_keyframe: np.ndarray
    camera: Intrinsics
    levels: list[Level]
    surface_hw3: np.ndarray

    @classmethod
    def of(cls, grey_HW: np.ndarray, depth_hw: np.ndarray, camera: Intrinsics, pose: Pose) -> Template:
        """Of a keyframe's image (H, W) uint8 of `camera`, its depth (h, w), 0 where unknown, and ``T_map_camera``."""
        depth_hw = depth_hw.astype(np.float32)
        height, width = depth_hw.shape
        filled_hw = without_holes(depth_hw)
        rays_hw2 = _rays(camera.resized(width, height))
        surface_hw3 = np.dstack((rays_hw2 * filled_hw[..., None], filled_hw))
        smooth_hw = _smooth(depth_hw)
        levels = [_level(image_HW, smooth_hw, filled_hw, camera, pose) for image_HW in sizes_of(grey_HW)]
        return cls(pose, pose.rotation_33, camera, levels, surface_hw3)


def without_holes(depth_hw: np.ndarray) -> np.ndarray:
    """Depth (h, w) whose unknown pixels (0) have that of the nearest known one; 1 everywhere where none is known."""
    known_hw = depth_hw > 0
    if known_hw.all():
        return depth_hw
    if not known_hw.any():
        return np.ones_like(depth_hw)
    return depth_hw.ravel()[nearest_known(known_hw)]


def _rays(camera: Intrinsics) -> np.ndarray:
    """x / z and y / z (H, W, 2) float32 of each pixel of a pinhole."""
    x_W = (np.arange(camera.width, dtype=np.float32) - camera.cx) / camera.fx
    y_H = (np.arange(camera.height, dtype=np.float32) - camera.cy) / camera.fy
    return np.dstack(np.meshgrid(x_W, y_H)).astype(np.float32)


def _smooth(depth_hw: np.ndarray) -> np.ndarray:
    """Which pixels (h, w) lie on one surface: they and their eight neighbours are known and differ by little."""
    kernel_33 = np.ones((3, 3), np.uint8)
    nearest_hw = cv2.erode(depth_hw, kernel_33, borderType=cv2.BORDER_REPLICATE)
    farthest_hw = cv2.dilate(depth_hw, kernel_33, borderType=cv2.BORDER_REPLICATE)
    return (nearest_hw > 0) & (farthest_hw <= nearest_hw * (1 + 2 * STEP))


def _level(image_HW: np.ndarray, smooth_hw: np.ndarray, depth_hw: np.ndarray, camera: Intrinsics, pose: Pose) -> Level:
    height, width = image_HW.shape
    mask_HW = cv2.resize(smooth_hw.astype(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST)
    found_N12 = cv2.goodFeaturesToTrack(image_HW, CORNERS, CORNER_QUALITY, CORNERS_APART_PX, mask=255 * mask_HW)
    corners_N2 = np.zeros((0, 2), np.float32) if found_N12 is None else found_N12[:, 0]
    pinhole = camera.resized(width, height)
    depth_N = _depth_at(depth_hw, corners_N2, width)
    ray_N2 = (corners_N2 - [pinhole.cx, pinhole.cy]) / [pinhole.fx, pinhole.fy]
    local_N3 = np.column_stack((ray_N2 * depth_N[:, None], depth_N))
    points_N3 = local_N3 @ pose.rotation_33.T + pose.position
    return Level(image_HW, corners_N2, points_N3, 1 / depth_N)


def _depth_at(depth_hw: np.ndarray, corners_N2: np.ndarray, width: int) -> np.ndarray:
    """The depth (N,) at pixels of an image `width` wide; inverse depth is what is linear along a plane."""
    if not len(corners_N2):
        return np.zeros(0)
    there_N2 = (corners_N2 + 0.5) * (depth_hw.shape[1] / width) - 0.5
    return 1 / sampled(1 / depth_hw, there_N2, cv2.BORDER_REPLICATE).astype(np.float64)


def sampled(values_HW: np.ndarray, places_N2: np.ndarray, border: int, beyond: float = 0.0) -> np.ndarray:
    """An image's values (N,) at pixels (N, 2) between its own, x before y; `beyond` it by OpenCV's kind of `border`."""
    places_1N2 = np.ascontiguousarray(places_N2, np.float32).reshape(1, -1, 2)
    no_map: Any = None  # both are in the first; mypy's stubs do not know of that
    return cv2.remap(values_HW, places_1N2, no_map, cv2.INTER_LINEAR, borderMode=border, borderValue=beyond)[0]

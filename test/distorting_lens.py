"""Lenses by the formulas of the OpenCV documentation, written out: what they do to points, and to rendered images."""

from __future__ import annotations

from functools import cache

import cv2
import numpy as np

from transposenet_core.geometry.intrinsics import Intrinsics


def projected(camera: Intrinsics, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pixels of the points (x, y, 1) of the optical frame."""
    d = camera.distortion
    r2 = x * x + y * y
    if camera.distortion_model == "equidistant":
        r = np.sqrt(r2)
        theta = np.arctan(r)
        bent = theta * (1 + d[0] * theta**2 + d[1] * theta**4 + d[2] * theta**6 + d[3] * theta**8)
        factor = np.where(r > 1e-12, bent / np.maximum(r, 1e-12), 1)
        return camera.fx * x * factor + camera.cx, camera.fy * y * factor + camera.cy
    k1, k2, p1, p2, k3, k4, k5, k6 = (*d, *[0] * 8)[:8]
    radial = (1 + k1 * r2 + k2 * r2**2 + k3 * r2**3) / (1 + k4 * r2 + k5 * r2**2 + k6 * r2**3)
    x_bent = x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x * x)
    y_bent = y * radial + p1 * (r2 + 2 * y * y) + 2 * p2 * x * y
    return camera.fx * x_bent + camera.cx, camera.fy * y_bent + camera.cy


@cache
def rays(camera: Intrinsics) -> tuple[np.ndarray, np.ndarray]:
    """The points (x, y, 1) that the camera's pixels see, (H, W) each: the formula inverted step by step."""
    v_HW, u_HW = np.mgrid[0 : camera.height, 0 : camera.width].astype(float)
    x_HW, y_HW = (u_HW - camera.cx) / camera.fx, (v_HW - camera.cy) / camera.fy
    for _ in range(40):
        u_seen_HW, v_seen_HW = projected(camera, x_HW, y_HW)
        x_HW, y_HW = x_HW + (u_HW - u_seen_HW) / camera.fx, y_HW + (v_HW - v_seen_HW) / camera.fy
    return x_HW, y_HW


def through_the_lens(camera: Intrinsics, pinhole: Intrinsics, image: np.ndarray, interpolation: int) -> np.ndarray:
    """What the camera takes of a place that an image (H, W, ...) of a `pinhole` at the same pose shows; 0 beyond it."""
    x_HW, y_HW = rays(camera)
    u_HW, v_HW = x_HW * pinhole.fx + pinhole.cx, y_HW * pinhole.fy + pinhole.cy
    return cv2.remap(image, u_HW.astype(np.float32), v_HW.astype(np.float32), interpolation)

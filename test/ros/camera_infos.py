"""Descriptions of cameras that tests make up."""

from __future__ import annotations

import numpy as np
from sensor_msgs.msg import CameraInfo


def info_of(
    width: int = 101,
    height: int = 81,
    focal: float = 100.0,
    centre: tuple[float, float] | None = None,
    lens: str = "plumb_bob",
    distortion: tuple[float, ...] = (),
    **more: object,
) -> CameraInfo:
    """A lens with its axis in the middle of the image, unless `centre` (pixels) says otherwise."""
    cx, cy = centre or ((width - 1) / 2, (height - 1) / 2)
    info = CameraInfo(width=width, height=height, distortion_model=lens, d=distortion, **more)
    info.k = [focal, 0.0, cx, 0.0, focal, cy, 0.0, 0.0, 1.0]
    info.p = [focal, 0.0, cx, 0.0, 0.0, focal, cy, 0.0, 0.0, 0.0, 1.0, 0.0]
    info.r = np.eye(3).ravel()
    return info

"""What the bundle adjustment of a recording returns, and what depth from motion starts from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from transposenet_core.geometry.intrinsics import Intrinsics
from transposenet_core.geometry.pose import Pose
from transposenet_core.scene import PosedImage


@dataclass(frozen=True, eq=False)
class MappedFrame:
    """A frame of the map: its image as recorded, and what the adjustment found.

    ``T_map_camera`` is the adjusted pose of the colour camera. ``point_K`` (K,) int are the indices of the map points
    that the frame sees, ``pixel_K2`` (K, 2) float64 where, x and y in pixels of the image as recorded (with the lens's
    distortion; pixel centres are whole numbers).
    """

    image: PosedImage
    T_map_camera: Pose
    point_K: np.ndarray
    pixel_K2: np.ndarray


@dataclass(frozen=True, eq=False)
class SparseMap:
    """Frames, their common lens and the points that they see, in the map frame and units of the recorded poses.

    ``point_P3`` (P, 3) float64; ``reprojection_px_P`` (P,) the mean reprojection error of each point.
    """

    frames: list[MappedFrame]
    intrinsics: Intrinsics
    point_P3: np.ndarray
    reprojection_px_P: np.ndarray

    def depths(self, frame: MappedFrame) -> np.ndarray:
        """Depth (K,) of a frame's points along the optical axis of its adjusted pose."""
        T = frame.T_map_camera
        return (self.point_P3[frame.point_K] - T.position) @ T.rotation_33[:, 2]

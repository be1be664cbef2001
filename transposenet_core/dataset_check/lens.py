"""From pixels to rays and back for the check, with the lens's distortion where a scene has one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from transposenet_core.geometry.intrinsics import Intrinsics
from transposenet_core.geometry.lens_models import bears_distortion

# Between a wide lens (90 degrees across) and a long one (28): phones, webcams and Kinects lie well within.
FOCAL_GUESSES = (0.5, 0.65, 0.8, 1.0, 1.25, 1.6, 2.0)


@dataclass(frozen=True)
class Lens:
    """The pinhole camera of an image's pixels and its distortion; ``source`` tells where the values come from."""

    intrinsics: Intrinsics
    source: str

    @classmethod
    def of(cls, intrinsics: Intrinsics, size: tuple[int, int]) -> Lens:
        """The lens for images of `size` (width, height), which may be resized ones."""
        return cls(intrinsics.resized(*size), f"camera of the scene ({intrinsics.source})")

    @classmethod
    def guesses(cls, size: tuple[int, int]) -> Sequence[Lens]:
        """Lenses of many fields of view with the principal point in the middle, for images of an unknown camera."""
        width, height = size
        middle = (width - 1) / 2, (height - 1) / 2
        cameras = [Intrinsics(width, height, f, f, *middle) for f in np.multiply(FOCAL_GUESSES, max(size))]
        return [cls(camera, f"a guessed focal length of {camera.fx / max(size):g} widths") for camera in cameras]

    @property
    def focal(self) -> float:
        """Pixels per radian in the middle of the image."""
        return float(np.sqrt(self.intrinsics.fx * self.intrinsics.fy))

    def rays(self, pixels_N2: np.ndarray) -> np.ndarray:
        """Points (N, 2) of the plane z = 1 of the optical frame, without distortion."""
        points_N12 = np.asarray(pixels_N2, np.float64).reshape(-1, 1, 2)
        distortion = np.array(self._distortion)
        undistort = cv2.fisheye.undistortPoints if self._fisheye else cv2.undistortPoints
        return undistort(points_N12, self.intrinsics.matrix_33, distortion).reshape(-1, 2)

    def pixels(self, points_N3: np.ndarray) -> np.ndarray:
        """Pixels (N, 2) of points in front of the camera, in its optical frame."""
        points_N13, zero = np.asarray(points_N3, np.float64).reshape(-1, 1, 3), np.zeros(3)
        project = cv2.fisheye.projectPoints if self._fisheye else cv2.projectPoints
        seen, _ = project(points_N13, zero, zero, self.intrinsics.matrix_33, np.array(self._distortion))
        return seen.reshape(-1, 2)

    @property
    def _fisheye(self) -> bool:
        return bears_distortion(self.intrinsics) and self.intrinsics.distortion_model == "equidistant"

    @property
    def _distortion(self) -> tuple[float, ...]:
        return self.intrinsics.distortion if bears_distortion(self.intrinsics) else (0.0,) * 4

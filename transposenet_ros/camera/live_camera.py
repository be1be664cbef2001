"""A camera as its CameraInfo describes it, and the pixel maps that warp its images to another camera."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from sensor_msgs.msg import CameraInfo

from transposenet_core.geometry.lens_models import COEFFICIENTS, known_lenses
from transposenet_core.geometry.undistortion import rectifying_maps


@dataclass(frozen=True, eq=False)
class LiveCamera:
    """Pinhole matrix ``K_33`` in pixels of a `width` x `height` image (pixel centres are whole numbers, OpenCV).

    ``distortion`` has the coefficients of ``lens``, none where the images have no distortion; ``rectified_33`` is the
    pinhole matrix and ``R_33`` the rotation of rectification, as in image_proc.
    """

    width: int
    height: int
    K_33: np.ndarray
    rectified_33: np.ndarray
    R_33: np.ndarray
    lens: str
    distortion: np.ndarray

    def scaled(self, width: int, height: int) -> LiveCamera:
        """The same camera with images of another size."""
        x, y = width / self.width, height / self.height
        K_33, rectified_33 = scaled_matrix(self.K_33, x, y), scaled_matrix(self.rectified_33, x, y)
        return replace(self, width=width, height=height, K_33=K_33, rectified_33=rectified_33)

    def kept_matrix(self) -> LiveCamera:
        """The same camera, rectified to its own matrix K instead of P, as in data sets without a P."""
        return replace(self, rectified_33=self.K_33, R_33=np.eye(3))

    def maps(self, matrix_33: np.ndarray, size: tuple[int, int], undistort: bool) -> tuple[np.ndarray, np.ndarray]:
        """Where each pixel of a `size` (width, height) image taken with `matrix_33` lies in this camera's: x and y,
        float32 (height, width). Without `undistort` the lens is left as it is and only the matrix changes."""
        lens, R_33 = (self.distortion, self.R_33) if undistort else (np.zeros(0), np.eye(3))
        return rectifying_maps(self.K_33, self.lens, lens, matrix_33, size, R_33)


def scaled_matrix(matrix_33: np.ndarray, x: float, y: float) -> np.ndarray:
    """A pinhole matrix for images `x` times as wide and `y` times as high: their corners meet, not pixel centres."""
    half = np.array([[1, 0, 0.5], [0, 1, 0.5], [0, 0, 1]])
    return np.linalg.inv(half) @ np.diag([x, y, 1.0]) @ half @ matrix_33


def live_camera(info: CameraInfo, rectified: bool) -> LiveCamera:
    """The camera of a CameraInfo, its binning and region of interest included; `rectified` images follow its P.

    Raises ValueError with the reason where the message describes no calibrated camera.
    """
    K_33, P_33 = np.array(info.k).reshape(3, 3), np.array(info.p).reshape(3, 4)[:, :3]
    if not K_33.any():
        raise ValueError("K is all zero, which means uncalibrated")
    if not (_is_pinhole(K_33) and info.width and info.height):
        raise ValueError(f"K is {K_33.ravel().tolist()} for {info.width}x{info.height}, which is no camera matrix")
    P_33 = P_33 if _is_pinhole(P_33) else K_33
    distortion = np.array(info.d, np.float64)
    if not np.isfinite(distortion).all():
        raise ValueError(f"D is {distortion.tolist()}, which is no distortion")
    lens = info.distortion_model or _lens_without_name(distortion)
    # An equidistant lens bends straight lines whatever its coefficients are, all 0 included.
    bent = len(distortion) > 0 and bool(distortion.any() or lens == "equidistant")
    if bent and len(distortion) not in COEFFICIENTS.get(lens, ()):
        raise ValueError(f"D has {len(distortion)} coefficients of the model '{lens}'; known are {known_lenses()}")
    R_33 = np.array(info.r).reshape(3, 3)
    bare = rectified or not bent
    x, y = max(info.binning_x, 1), max(info.binning_y, 1)
    left, top, width, height = info.roi.x_offset, info.roi.y_offset, info.roi.width, info.roi.height
    width, height = (width or info.width) // x, (height or info.height) // y
    if not (width and height):
        raise ValueError(f"binning {x}x{y} leaves {width}x{height} pixels")
    shift = np.array([[1, 0, -left], [0, 1, -top], [0, 0, 1.0]])
    K_33, P_33 = (scaled_matrix(shift @ matrix_33, 1 / x, 1 / y) for matrix_33 in (K_33, P_33))
    return LiveCamera(
        width=width,
        height=height,
        K_33=P_33 if rectified else K_33,
        rectified_33=P_33,
        R_33=R_33 if np.isclose(np.linalg.det(R_33), 1, atol=1e-3) else np.eye(3),
        lens=lens,
        distortion=np.zeros(0) if bare else distortion,
    )


def _lens_without_name(distortion: np.ndarray) -> str:
    """The model that has so many coefficients, for drivers that leave its name out. ValueError where several have."""
    names = [name for name, counts in COEFFICIENTS.items() if len(distortion) in counts]
    if distortion.any() and len(names) > 1:
        raise ValueError(f"D has {len(distortion)} coefficients and distortion_model is empty; {' or '.join(names)}?")
    return names[0] if names else "plumb_bob"


def _is_pinhole(matrix_33: np.ndarray) -> bool:
    return bool(np.isfinite(matrix_33).all() and matrix_33[0, 0] > 0 and matrix_33[1, 1] > 0 and matrix_33[2, 2] == 1)

"""The camera of the adjustment: its model and parameters as COLMAP has them, and what it does to points."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np

from transposenet_core.geometry.intrinsics import Intrinsics
from transposenet_core.geometry.lens_models import bears_distortion

RADIAL = {"OPENCV": (4, 5), "FULL_OPENCV": (4, 5), "OPENCV_FISHEYE": (4, 5)}  # where k1 and k2 are
ADJUSTED = "adjusted to the images"
LEADS_BACK_PX = 0.01


@dataclass(frozen=True, eq=False)
class Lens:
    """``model`` is COLMAP's name, ``params_Q`` fx, fy, cx, cy and the distortion; pixel centres are whole numbers.

    ``stated`` are the intrinsics that it is made of. With more coefficients than COLMAP's models have
    (``beyond_colmap``), the work is done in pixels of the rectified image and the lens is not adjusted.
    """

    stated: Intrinsics
    model: str
    params_Q: np.ndarray
    beyond_colmap: bool = False

    @classmethod
    def of(cls, intrinsics: Intrinsics) -> Lens:
        """UserError for distortion that fits no lens model."""
        pinhole = [intrinsics.fx, intrinsics.fy, intrinsics.cx, intrinsics.cy]
        if not bears_distortion(intrinsics):
            return cls(intrinsics, "OPENCV", np.array([*pinhole, 0, 0, 0, 0], np.float64))
        bent = list(intrinsics.distortion)
        if intrinsics.distortion_model == "equidistant":
            return cls(intrinsics, "OPENCV_FISHEYE", np.array([*pinhole, *bent], np.float64))
        if any(bent[8:]):
            return cls(intrinsics, "OPENCV", np.array([*pinhole, 0, 0, 0, 0], np.float64), beyond_colmap=True)
        if any(bent[4:]):
            return cls(intrinsics, "FULL_OPENCV", np.array([*pinhole, *(bent + [0] * 3)[:8]], np.float64))
        return cls(intrinsics, "OPENCV", np.array([*pinhole, *bent[:4]], np.float64))

    @property
    def focal(self) -> float:
        """Pixels, the mean of both axes."""
        return float(self.params_Q[:2].mean())

    @property
    def matrix_33(self) -> np.ndarray:
        fx, fy, cx, cy = self.params_Q[:4]
        return np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]])

    def with_params(self, params_Q: np.ndarray) -> Lens:
        return replace(self, params_Q=np.array(params_Q, np.float64))

    def working_pixels(self, pixel_K2: np.ndarray) -> np.ndarray:
        """Pixels of the image as recorded to those that this lens describes: the same, but for `beyond_colmap`."""
        if not self.beyond_colmap or not len(pixel_K2):
            return np.asarray(pixel_K2, np.float64)
        K_33, bent = self.stated.matrix_33, np.array(self.stated.distortion)
        return cv2.undistortPoints(np.asarray(pixel_K2, np.float64)[:, None], K_33, bent, P=K_33)[:, 0]

    def rays(self, pixel_K2: np.ndarray) -> np.ndarray:
        """Unit directions (K, 3) in the camera's optical frame of working pixels (K, 2)."""
        if not len(pixel_K2):
            return np.zeros((0, 3))
        pixels = np.ascontiguousarray(pixel_K2, np.float64)[:, None]
        if self.model == "OPENCV_FISHEYE":
            xy_K2 = cv2.fisheye.undistortPoints(pixels, self.matrix_33, self.params_Q[4:8])[:, 0]
        else:
            xy_K2 = cv2.undistortPoints(pixels, self.matrix_33, self.params_Q[4:])[:, 0]
            for _ in range(4):  # OpenCV stops after five steps, which a strong lens does not reach the end in
                there_K2 = self.project(np.column_stack([xy_K2, np.ones(len(xy_K2))]))
                xy_K2 = xy_K2 + np.nan_to_num(pixels[:, 0] - there_K2) / self.params_Q[:2]
        ray_K3 = np.column_stack([xy_K2, np.ones(len(xy_K2))])
        return ray_K3 / np.linalg.norm(ray_K3, axis=1, keepdims=True)

    def project(self, point_K3: np.ndarray) -> np.ndarray:
        """Working pixels (K, 2) of points in the camera's optical frame; NaN behind the camera."""
        fx, fy, cx, cy = self.params_Q[:4]
        z_K = np.where(point_K3[:, 2] > 1e-9, point_K3[:, 2], np.nan)
        x_K, y_K = point_K3[:, 0] / z_K, point_K3[:, 1] / z_K
        k = np.r_[self.params_Q[4:], np.zeros(8)]
        if self.model == "OPENCV_FISHEYE":
            r_K = np.hypot(x_K, y_K)
            theta_K = np.arctan(r_K)
            square_K = theta_K**2
            bent_K = theta_K * (1 + square_K * (k[0] + square_K * (k[1] + square_K * (k[2] + square_K * k[3]))))
            scale_K = np.where(r_K > 1e-8, bent_K / np.maximum(r_K, 1e-8), 1.0)
            return np.column_stack([fx * x_K * scale_K + cx, fy * y_K * scale_K + cy])
        s_K = x_K**2 + y_K**2
        radial_K = (1 + s_K * (k[0] + s_K * (k[1] + s_K * k[4]))) / (1 + s_K * (k[5] + s_K * (k[6] + s_K * k[7])))
        p1, p2 = k[2], k[3]
        u_K = x_K * radial_K + 2 * p1 * x_K * y_K + p2 * (s_K + 2 * x_K**2)
        v_K = y_K * radial_K + p1 * (s_K + 2 * y_K**2) + 2 * p2 * x_K * y_K
        return np.column_stack([fx * u_K + cx, fy * v_K + cy])

    def intrinsics(self) -> Intrinsics:
        """As the project has them, with a source that states the adjustment; the stated ones where nothing differs."""
        if self.beyond_colmap or np.array_equal(Lens.of(self.stated).params_Q, self.params_Q):
            return self.stated
        fx, fy, cx, cy, *bent = (float(value) for value in self.params_Q)
        names = {"OPENCV": "plumb_bob", "FULL_OPENCV": "rational_polynomial", "OPENCV_FISHEYE": "equidistant"}
        bent = bent if self.model != "OPENCV" else [*bent, 0.0]
        source = f"{ADJUSTED} ({self.stated.source})"
        size = self.stated.width, self.stated.height
        if not any(bent) and self.model == "OPENCV":
            return replace(self.stated, fx=fx, fy=fy, cx=cx, cy=cy, source=source)
        return Intrinsics(*size, fx, fy, cx, cy, source, False, names[self.model], tuple(bent))


def pixel_difference(a: Lens, b: Lens) -> float:
    """How far apart two lenses put the image's points, in pixels: root mean square over a grid, at the best common
    rotation of the rays (which a principal point imitates). Places that no line of sight leads to, such as the black
    corners of a fisheye, are left out; 0 where that leaves nothing."""
    width, height = a.stated.width, a.stated.height
    grid_K2 = np.stack(np.meshgrid(np.linspace(0, width - 1, 9), np.linspace(0, height - 1, 7)), -1).reshape(-1, 2)
    ray_a, ray_b = a.rays(grid_K2), b.rays(grid_K2)
    seen_K = _lead_back(a, ray_a, grid_K2) & _lead_back(b, ray_b, grid_K2)
    if seen_K.sum() < 3:
        return 0.0
    grid_K2, ray_a, ray_b = grid_K2[seen_K], ray_a[seen_K], ray_b[seen_K]
    u, _, vt = np.linalg.svd(ray_b.T @ ray_a)
    R_33 = u @ np.diag([1, 1, np.linalg.det(u @ vt)]) @ vt
    apart_K = np.linalg.norm(b.project(ray_a @ R_33.T) - grid_K2, axis=1)
    return float(np.sqrt(np.nanmean(apart_K**2)))


def _lead_back(lens: Lens, ray_K3: np.ndarray, pixel_K2: np.ndarray) -> np.ndarray:
    """Whether (K,) the lines of sight of pixels are lines that the lens sees there."""
    away_K = np.linalg.norm(lens.project(ray_K3) - pixel_K2, axis=1)
    return np.isfinite(away_K) & (away_K < LEADS_BACK_PX)

"""How well the windows of a frame look alike in its sources, for each pixel and depth: a plane sweep (Collins 1996).

Compared are windows without their mean and contrast (zero-mean normalised cross correlation), so exposure and gain do
not matter. Of the sources the better half counts at each pixel: the others may not see it. Windows are small, because
what is near grows by half a window; support comes from neighbours that look alike (a guided filter on each plane,
Rhemann et al. 2011), not from across an edge of the image.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from transposenet_core.geometry.intrinsics import Intrinsics
from transposenet_core.geometry.pose import Pose

# Grey levels, 0 in the middle. A pixel that an image does not have is far outside of them; so is then the variance of
# each window that touches it, which finds those windows without a second image to warp.
OUTSIDE = -1e4
MOST_VARIANCE = 2e4
NOISE_VARIANCE = 1.0  # of grey levels after resizing: a window with less contrast than this proves nothing
GUIDE_SIZE, GUIDE_VARIANCE = 3, 80.0  # of the guided filter; contrast (grey levels squared) that counts as an edge
WARP = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP


@dataclass(frozen=True, eq=False)
class View:
    """A frame to compare: ``grey_HW`` float32, 0 in the middle and OUTSIDE where there is no image; its pose."""

    grey_HW: np.ndarray
    T_map_camera: Pose


class WindowMoments:
    """Mean and variance of the windows around each pixel."""

    def __init__(self, grey_HW: np.ndarray, window: int) -> None:
        self._size = (window, window)
        self.mean_HW = self.box(grey_HW)
        self.variance_HW = self.box(grey_HW * grey_HW) - self.mean_HW * self.mean_HW

    def box(self, image_HW: np.ndarray) -> np.ndarray:
        return cv2.boxFilter(image_HW, -1, self._size, borderType=cv2.BORDER_REFLECT_101)

    @property
    def complete_HW(self) -> np.ndarray:
        """Whether all of the window is image."""
        return self.variance_HW < MOST_VARIANCE


def sweep(frame: View, sources: list[View], pinhole: Intrinsics, depth_D: np.ndarray, window: int) -> np.ndarray:
    """The likeness (D, H, W) float32, 0 (none) to 1, of each pixel of `frame` at each depth; `pinhole` is common."""
    height, width = frame.grey_HW.shape
    moments = WindowMoments(frame.grey_HW, window)
    inverse_std_HW = np.float32(1) / np.sqrt(moments.variance_HW + NOISE_VARIANCE)
    best_of = (len(sources) + 1) // 2
    guide = GuidedFilter(np.where(moments.complete_HW, frame.grey_HW, 0))
    homographies = [plane_homographies(frame.T_map_camera, s.T_map_camera, pinhole, depth_D) for s in sources]
    likeness_DHW = np.empty((len(depth_D), height, width), np.float32)
    for plane in range(len(depth_D)):
        best = [np.zeros((height, width), np.float32) for _ in range(best_of)]
        seeing_HW = np.zeros((height, width), np.float32)
        for source, (H_D33, ahead_D) in zip(sources, homographies, strict=True):
            if not ahead_D[plane]:
                continue
            grey_HW = cv2.warpPerspective(
                source.grey_HW, H_D33[plane], (width, height), flags=WARP, borderValue=OUTSIDE
            )
            mean_HW = moments.box(grey_HW)
            variance_HW = moments.box(grey_HW * grey_HW)
            variance_HW -= mean_HW * mean_HW
            seen_HW = variance_HW < MOST_VARIANCE
            variance_HW += NOISE_VARIANCE
            likeness_HW = moments.box(grey_HW * frame.grey_HW)
            likeness_HW -= mean_HW * moments.mean_HW
            likeness_HW *= inverse_std_HW
            likeness_HW /= np.sqrt(np.maximum(variance_HW, NOISE_VARIANCE))
            likeness_HW *= seen_HW
            seeing_HW += seen_HW & (mean_HW > OUTSIDE / 2)
            _insert(likeness_HW, best)
        total_HW = best[0]
        for further_HW in best[1:]:
            total_HW += further_HW
        total_HW /= np.clip(seeing_HW, min(2, best_of), best_of)
        likeness_DHW[plane] = guide(total_HW)
    likeness_DHW[:, ~moments.complete_HW] = 0
    return likeness_DHW.clip(0, 1, out=likeness_DHW)


class GuidedFilter:
    """Smooths images but for the edges of a guide: each is locally a linear function of it (He et al. 2010)."""

    def __init__(self, guide_HW: np.ndarray) -> None:
        self._guide_HW = guide_HW
        self._moments = WindowMoments(guide_HW, GUIDE_SIZE)
        self._weight_HW = np.float32(1) / (np.maximum(self._moments.variance_HW, 0) + np.float32(GUIDE_VARIANCE))

    def __call__(self, image_HW: np.ndarray) -> np.ndarray:
        """(H, W) float32."""
        box, guide = self._moments.box, self._moments
        mean_HW = box(image_HW)
        slope_HW = (box(self._guide_HW * image_HW) - guide.mean_HW * mean_HW) * self._weight_HW
        offset_HW = mean_HW - slope_HW * guide.mean_HW
        return box(slope_HW) * self._guide_HW + box(offset_HW)


def likeness_at(frame: View, others: list[View], pinhole: Intrinsics, depth_HW: np.ndarray, window: int) -> np.ndarray:
    """How well the windows of `frame` look like those of the others at the depth of each pixel: the best (H, W), -1..1.

    Pixels without a depth (0) lend windows beside them the largest depth nearby.
    """
    size = (2 * window + 1, 2 * window + 1)
    depth_HW = np.where(depth_HW > 0, depth_HW, cv2.dilate(depth_HW, np.ones(size, np.uint8)))
    y_HW, x_HW = np.indices(depth_HW.shape)
    ray_3N = np.linalg.inv(pinhole.matrix_33) @ np.stack((x_HW.ravel(), y_HW.ravel(), np.ones(x_HW.size)))
    p_3N, moments = ray_3N * depth_HW.ravel(), WindowMoments(frame.grey_HW, window)
    best_HW = np.full(depth_HW.shape, -1, np.float32)
    for other in others:
        T_44 = other.T_map_camera.inverse().matrix_44 @ frame.T_map_camera.matrix_44
        there_3N = pinhole.matrix_33 @ (T_44[:3, :3] @ p_3N + T_44[:3, 3:])
        ahead_N = (there_3N[2] > 1e-9) & (p_3N[2] > 0)
        map_2HW = np.where(ahead_N, there_3N[:2] / np.where(ahead_N, there_3N[2], 1), -10).astype(np.float32)
        map_x_HW, map_y_HW = map_2HW.reshape(2, *depth_HW.shape)
        grey_HW = cv2.remap(other.grey_HW, map_x_HW, map_y_HW, cv2.INTER_LINEAR, borderValue=OUTSIDE)
        its = WindowMoments(grey_HW, window)
        covariance_HW = moments.box(grey_HW * frame.grey_HW) - its.mean_HW * moments.mean_HW
        variances_HW = (moments.variance_HW + NOISE_VARIANCE) * np.maximum(its.variance_HW + NOISE_VARIANCE, 1e-3)
        complete_HW = its.complete_HW & moments.complete_HW & (its.mean_HW > OUTSIDE / 2)
        np.maximum(best_HW, np.where(complete_HW, covariance_HW / np.sqrt(np.abs(variances_HW)), -1), out=best_HW)
    return best_HW


def _insert(value_HW: np.ndarray, best: list[np.ndarray]) -> None:
    """Keep the largest values, sorted, in place."""
    for rank_HW in best:
        lower_HW = np.minimum(rank_HW, value_HW)
        np.maximum(rank_HW, value_HW, out=rank_HW)
        value_HW = lower_HW


def plane_homographies(
    T_map_frame: Pose, T_map_source: Pose, pinhole: Intrinsics, depth_D: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Where pixels of the frame, taken to lie on a plane at each depth, are in the source: (D, 3, 3).

    ``K (R + t n^T / depth) K^-1`` with n the frame's optical axis (Hartley and Zisserman 2004, 13.1). The second value
    (D,) tells whether all of the plane that the frame sees is in front of the source.
    """
    K_33 = pinhole.matrix_33
    T_44 = T_map_source.inverse().matrix_44 @ T_map_frame.matrix_44
    H_D33 = np.repeat(T_44[None, :3, :3], len(depth_D), axis=0)
    H_D33[:, :, 2] += T_44[:3, 3] / depth_D[:, None]
    H_D33 = K_33 @ H_D33 @ np.linalg.inv(K_33)
    x, y = pinhole.width - 1, pinhole.height - 1
    corners_34 = np.array([[0, x, 0, x], [0, 0, y, y], [1, 1, 1, 1]], float)
    return H_D33, ((H_D33 @ corners_34)[:, 2] > 1e-3).all(axis=1)

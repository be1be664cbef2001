"""Images without their lens's distortion, for training and for the node alike: both use the same maps.

The rectified image keeps the size and the matrix K of the image it is made of. So the node, given the same K, makes
the same image of a live one, the scale in the middle stays that of the lens, and the figures do not depend on the
version of a routine that optimises K. What the lens does not see is black (pincushion), what falls outside is cut off
(barrel).
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import cv2
import numpy as np

from transposenet_core.geometry.intrinsics import Intrinsics
from transposenet_core.geometry.lens_models import bears_distortion

SIZES_KEPT = 4  # maps take 6 bytes a pixel, those of depth 8; a scene has images of one size, or of a few

Maps = tuple[np.ndarray, np.ndarray]


class Undistorter:
    """Takes the distortion out of images of one camera; the maps made for the first image serve all of its size.

    ``rectified`` are the intrinsics of the images it makes. Where `intrinsics` have no distortion it is not
    ``needed``: images come back as they are. UserError for invalid distortion.
    """

    def __init__(self, intrinsics: Intrinsics) -> None:
        self.intrinsics = intrinsics
        self.needed = bears_distortion(intrinsics)
        self.rectified = intrinsics
        if self.needed:
            self.rectified = replace(intrinsics, rectified=True, distortion_model="none", distortion=())
        self._maps = lru_cache(maxsize=SIZES_KEPT)(_fixed_point_maps)
        self._depth_maps = lru_cache(maxsize=SIZES_KEPT)(_float_maps)

    def __call__(self, image_HW3: np.ndarray) -> np.ndarray:
        """The rectified image (H, W, 3) uint8, black where the lens does not see.

        An image of another size than the intrinsics' counts as resized. UserError for another aspect ratio.
        """
        camera = self._camera_of(image_HW3)
        return remap(image_HW3, self._maps(camera)) if self.needed else image_HW3

    def depth(self, depth_HW: np.ndarray) -> np.ndarray:
        """The rectified depth image (H, W): the nearest pixel's value, never a mean over an edge; 0 beyond the lens.

        UserError as for an image.
        """
        camera = self._camera_of(depth_HW)
        if not self.needed:
            return depth_HW
        return cv2.remap(depth_HW, *self._depth_maps(camera), cv2.INTER_NEAREST, borderMode=cv2.BORDER_CONSTANT)

    def _camera_of(self, image: np.ndarray) -> Intrinsics:
        height, width = image.shape[:2]
        return self.intrinsics.for_images(width, height)


def _fixed_point_maps(camera: Intrinsics) -> Maps:
    return fixed_point(*_float_maps(camera))


def _float_maps(camera: Intrinsics) -> Maps:
    K_33, lens = camera.matrix_33, np.array(camera.distortion)
    return rectifying_maps(K_33, camera.distortion_model, lens, K_33, (camera.width, camera.height))


def rectifying_maps(
    K_33: np.ndarray,
    lens: str,
    distortion: np.ndarray,
    new_33: np.ndarray,
    size: tuple[int, int],
    R_33: np.ndarray | None = None,
) -> Maps:
    """Where each pixel of a rectified `size` (width, height) image with the matrix `new_33` is in the original one.

    x and y, float32 (height, width). `R_33` also rotates the images, as CameraInfo's R; without coefficients there
    is no distortion to remove.
    """
    R_33 = np.eye(3) if R_33 is None else R_33
    if lens == "equidistant" and len(distortion):
        return cv2.fisheye.initUndistortRectifyMap(K_33, distortion, R_33, new_33, size, cv2.CV_32FC1)
    coefficients = distortion if len(distortion) else None
    return cv2.initUndistortRectifyMap(K_33, coefficients, R_33, new_33, size, cv2.CV_32FC1)


def fixed_point(x_HW: np.ndarray, y_HW: np.ndarray) -> Maps:
    """The maps in steps of 1/32 pixel, which remap images faster."""
    return cv2.convertMaps(x_HW, y_HW, cv2.CV_16SC2)


def remap(image_HW3: np.ndarray, maps: Maps) -> np.ndarray:
    """The image through maps of :func:`fixed_point`, black where they point outside."""
    return cv2.remap(image_HW3, *maps, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)

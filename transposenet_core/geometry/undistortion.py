"""Images without their lens's distortion, for training and for the node alike: both use the same maps.

The rectified image keeps the size and the matrix K of the image it is made of. So the node, given the same K, makes
the same image of a live one, the scale in the middle stays that of the lens, and the figures do not depend on the
version of a routine that optimises K. What the lens does not see is black (pincushion), what falls outside is cut off
(barrel).
"""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from transposenet_core.errors import UserError
from transposenet_core.geometry.intrinsics import Intrinsics

# How many coefficients each lens model of ROS may have: OpenCV's pinhole and its fisheye.
COEFFICIENTS = {"plumb_bob": (4, 5), "rational_polynomial": (8, 12, 14), "equidistant": (4,)}

Maps = tuple[np.ndarray, np.ndarray]


class Undistorter:
    """Removes the distortion from images of one camera; its maps are computed once.

    ``rectified`` are the intrinsics of the images it makes. Where `intrinsics` have no distortion it is not
    ``needed``: images come back as they are. UserError for invalid distortion.
    """

    def __init__(self, intrinsics: Intrinsics) -> None:
        self.intrinsics = intrinsics
        self.needed = bears_distortion(intrinsics)
        self.rectified = intrinsics
        if self.needed:
            self.rectified = replace(intrinsics, rectified=True, distortion_model="none", distortion=())
            K_33 = intrinsics.matrix_33
            size, lens = (intrinsics.width, intrinsics.height), np.array(intrinsics.distortion)
            self._maps = fixed_point(*rectifying_maps(K_33, intrinsics.distortion_model, lens, K_33, size))

    def __call__(self, image_HW3: np.ndarray) -> np.ndarray:
        """The rectified image (H, W, 3) uint8, black where the lens does not see.

        UserError for an image of another size than the intrinsics', which would be rectified wrongly.
        """
        if not self.needed:
            return image_HW3
        height, width = image_HW3.shape[:2]
        camera = self.intrinsics
        if (width, height) != (camera.width, camera.height):
            raise UserError(
                f"an image of {width}x{height}, but its camera ({camera.source}) is for "
                f"{camera.width}x{camera.height}: give the intrinsics of the images, or the images they belong to"
            )
        return remap(image_HW3, self._maps)


def bears_distortion(intrinsics: Intrinsics) -> bool:
    """Whether the images have distortion that is known. UserError where its coefficients fit no lens model."""
    lens, distortion = intrinsics.distortion_model, np.array(intrinsics.distortion)
    if intrinsics.rectified or lens == "none" or not distortion.any():
        return False
    if len(distortion) not in COEFFICIENTS.get(lens, ()) or not np.isfinite(distortion).all():
        raise UserError(
            f"the camera ({intrinsics.source}) has the distortion {distortion.tolist()} of the model '{lens}'; known "
            f"are {known_lenses()}: correct it, or set the model 'none' for rectified images"
        )
    return True


def known_lenses() -> str:
    """The lens models with their numbers of coefficients, for messages."""
    return ", ".join(f"{name} ({' or '.join(map(str, counts))})" for name, counts in COEFFICIENTS.items())


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

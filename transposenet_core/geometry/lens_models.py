"""The lens models of ROS and OpenCV: which there are, how many coefficients each has, and whether images bear one."""

from __future__ import annotations

import numpy as np

from transposenet_core.errors import UserError
from transposenet_core.geometry.intrinsics import Intrinsics

# How many coefficients each lens model of ROS may have: OpenCV's pinhole and its fisheye.
COEFFICIENTS = {"plumb_bob": (4, 5), "rational_polynomial": (8, 12, 14), "equidistant": (4,)}


def bears_distortion(intrinsics: Intrinsics) -> bool:
    """Whether the images have distortion that is known. UserError where its figures fit no lens model.

    The equidistant lens bends straight lines whatever its coefficients are, all 0 included.
    """
    lens, distortion = intrinsics.distortion_model, np.array(intrinsics.distortion)
    straight = lens != "equidistant" and not distortion.any()
    if intrinsics.rectified or straight:
        return False
    if len(distortion) not in COEFFICIENTS.get(lens, ()) or not np.isfinite(distortion).all():
        raise UserError(
            f"the camera ({intrinsics.source}) has the distortion {distortion.tolist()} of the model '{lens}'; known "
            f"are {known_lenses()}: correct it, or say that the images are rectified"
        )
    return True


def known_lenses() -> str:
    """The lens models with their numbers of coefficients, for messages."""
    return ", ".join(f"{name} ({' or '.join(map(str, counts))})" for name, counts in COEFFICIENTS.items())

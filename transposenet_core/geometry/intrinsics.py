"""A camera's pinhole and its lens."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace

import numpy as np

from transposenet_core.errors import UserError

DISTORTION_MODELS = ("none", "plumb_bob", "rational_polynomial", "equidistant")
ASPECT_TOLERANCE = 0.01  # of the ratio of the sides; or one row or column, which rounding adds to a small image


@dataclass(frozen=True)
class Intrinsics:
    """Pinhole intrinsics in pixels of a `width` x `height` image; pixel centres are whole numbers (OpenCV).

    ``source`` tells where the values come from, because a wrong camera is a silent error. ``rectified`` tells whether
    the lens's distortion has been removed from the images; None where that is unknown. Where it has not,
    ``distortion_model`` (a name of sensor_msgs/CameraInfo, see DISTORTION_MODELS) and ``distortion`` describe it.
    """

    width: int
    height: int
    fx: float
    fy: float
    cx: float
    cy: float
    source: str = "unknown"
    rectified: bool | None = None
    distortion_model: str = "none"
    distortion: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "distortion", tuple(float(value) for value in self.distortion))  # JSON has lists

    def to_dict(self) -> dict:
        return asdict(self)

    @property
    def matrix_33(self) -> np.ndarray:
        """The pinhole matrix K in pixels."""
        return np.array([[self.fx, 0, self.cx], [0, self.fy, self.cy], [0, 0, 1]])

    def resized(self, width: int, height: int) -> Intrinsics:
        """The pinhole of the same images resized to `width` x `height`: their edges coincide, not pixel centres."""
        x, y = width / self.width, height / self.height
        return replace(
            self,
            width=width,
            height=height,
            fx=self.fx * x,
            fy=self.fy * y,
            cx=(self.cx + 0.5) * x - 0.5,
            cy=(self.cy + 0.5) * y - 0.5,
        )

    def for_images(self, width: int, height: int) -> Intrinsics:
        """The intrinsics of images of `width` x `height`: these, or scaled ones where the images were resized.

        UserError where they have another aspect ratio: they were cropped or rotated, or are another camera's.
        """
        if (width, height) == (self.width, self.height):
            return self
        if difference := aspect_difference((width, height), (self.width, self.height)):
            raise UserError(
                f"images of {width}x{height} pixels, but their camera ({self.source}) is described for "
                f"{self.width}x{self.height}: {difference}; give the intrinsics of these images, or the images that "
                "they belong to"
            )
        return self.resized(width, height)


def aspect_difference(size: tuple[int, int], other: tuple[int, int]) -> str:
    """How images of `size` (width, height) cannot be those of `other` resized, in words; "" where they can.

    The one rule for images of another size than their camera's, in data sets, recordings and the node.
    """
    if _resized(size, other):
        return ""
    return "width and height are exchanged" if _resized(size[::-1], other) else "another aspect ratio"


def _resized(size: tuple[int, int], other: tuple[int, int]) -> bool:
    (width, height), (other_width, other_height) = size, other
    apart = abs(width * other_height - height * other_width)
    return apart <= max(ASPECT_TOLERANCE * width * other_height, *size, *other)

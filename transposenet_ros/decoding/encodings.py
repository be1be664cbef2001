"""The encodings of sensor_msgs/Image: how an image lies in its rows, and how the rows become RGB.

Names and layouts are those of sensor_msgs/image_encodings and of V4L2; the arithmetic is OpenCV's, in the order in
which cv_bridge does it for `rgb8`. What cv_bridge leaves open is settled here: 8UC1, 8UC3, 8UC4 are grey, BGR, BGRA.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

# Rows of samples (uint8 or uint16 in this machine's byte order, padding included) and the image's width in pixels.
ToRgb = Callable[[np.ndarray, int], np.ndarray]


@dataclass(frozen=True)
class Encoding:
    """The layout of an image of (H, W) pixels, and `to_rgb`, which makes (H, W, 3) uint8 RGB of it.

    A pixel takes `pixel_samples` of `sample_bytes` each in a row; planes below the first make it `rows_of_two` rows of
    `step` bytes for every two rows of pixels. Sides are multiples of `multiple` (width, height) and at least `least`.
    """

    to_rgb: ToRgb
    pixel_samples: int = 1
    sample_bytes: int = 1
    rows_of_two: int = 2
    multiple: tuple[int, int] = (1, 1)
    least: int = 1

    @property
    def pixel_bytes(self) -> int:
        """Bytes of a pixel in a row, which `step` is a multiple of."""
        return self.pixel_samples * self.sample_bytes

    def rows(self, height: int) -> int:
        """Rows of `step` bytes that an image of `height` rows of pixels takes."""
        return height * self.rows_of_two // 2


def _eight_bits(samples: np.ndarray) -> np.ndarray:
    """uint16 scaled by 255/65535 and rounded, as cv_bridge does it; uint8 as it is."""
    return samples if samples.dtype == np.uint8 else cv2.convertScaleAbs(samples, alpha=255 / 65535)


def _packed(channels: int, code: int | None, sample_bytes: int = 1) -> Encoding:
    """Pixels of one to four samples, one behind the other; `code` is OpenCV's to RGB, None where it is RGB."""

    def to_rgb(samples_RS: np.ndarray, width: int) -> np.ndarray:
        pixels_HWC = samples_RS[:, : width * channels].reshape(len(samples_RS), width, channels)
        pixels_HWC = _eight_bits(pixels_HWC)
        return np.ascontiguousarray(pixels_HWC) if code is None else cv2.cvtColor(pixels_HWC, code)

    return Encoding(to_rgb, channels, sample_bytes)


def _bayer(code: int, sample_bytes: int) -> Encoding:
    """A mosaic, interpolated in its own depth. OpenCV makes black of one that has no inner pixel."""
    return Encoding(
        lambda samples_RS, width: _eight_bits(cv2.cvtColor(samples_RS[:, :width], code)),
        sample_bytes=sample_bytes,
        least=3,
    )


def _yuv422(code: int) -> Encoding:
    """Two pixels share their U and V."""
    return Encoding(
        lambda samples_RS, width: cv2.cvtColor(samples_RS[:, : 2 * width].reshape(len(samples_RS), width, 2), code),
        pixel_samples=2,
        multiple=(2, 1),
    )


def _nv21_to_rgb(samples_RS: np.ndarray, width: int) -> np.ndarray:
    return cv2.cvtColor(samples_RS[:, :width], cv2.COLOR_YUV2RGB_NV21)


def _nv24_to_rgb(samples_RS: np.ndarray, width: int) -> np.ndarray:
    """The colour plane has rows of 2 * step. OpenCV has no code for it; one pixel is read as a UYVY pair of itself."""
    height = len(samples_RS) // 3
    y_HW = samples_RS[:height, :width]
    u_HW, v_HW = cv2.split(samples_RS[height:].reshape(height, -1)[:, : 2 * width].reshape(height, width, 2))
    uyvy_HW4 = cv2.merge([u_HW, y_HW, v_HW, y_HW])
    doubled_HW3 = cv2.cvtColor(uyvy_HW4.reshape(height, 2 * width, 2), cv2.COLOR_YUV2RGB_UYVY)
    return cv2.resize(doubled_HW3, (width, height), interpolation=cv2.INTER_NEAREST)


BAYER = {
    "rggb": cv2.COLOR_BayerRGGB2RGB,
    "bggr": cv2.COLOR_BayerBGGR2RGB,
    "gbrg": cv2.COLOR_BayerGBRG2RGB,
    "grbg": cv2.COLOR_BayerGRBG2RGB,
}
ENCODINGS: dict[str, Encoding] = {
    "rgb8": _packed(3, None),
    "bgr8": _packed(3, cv2.COLOR_BGR2RGB),
    "rgba8": _packed(4, cv2.COLOR_RGBA2RGB),
    "bgra8": _packed(4, cv2.COLOR_BGRA2RGB),
    "mono8": _packed(1, cv2.COLOR_GRAY2RGB),
    "mono16": _packed(1, cv2.COLOR_GRAY2RGB, 2),
    "rgb16": _packed(3, None, 2),
    "bgr16": _packed(3, cv2.COLOR_BGR2RGB, 2),
    "8UC1": _packed(1, cv2.COLOR_GRAY2RGB),
    "8UC3": _packed(3, cv2.COLOR_BGR2RGB),
    "8UC4": _packed(4, cv2.COLOR_BGRA2RGB),
    **{f"bayer_{pattern}{8 * size}": _bayer(code, size) for size in (1, 2) for pattern, code in BAYER.items()},
    "yuv422": _yuv422(cv2.COLOR_YUV2RGB_UYVY),
    "uyvy": _yuv422(cv2.COLOR_YUV2RGB_UYVY),
    "yuv422_yuy2": _yuv422(cv2.COLOR_YUV2RGB_YUY2),
    "yuyv": _yuv422(cv2.COLOR_YUV2RGB_YUY2),
    "nv21": Encoding(_nv21_to_rgb, rows_of_two=3, multiple=(2, 2)),
    "nv24": Encoding(_nv24_to_rgb, rows_of_two=6),
}

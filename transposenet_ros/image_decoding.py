"""From sensor_msgs pictures to RGB, without trusting a single field of the message.

Every field is checked before a byte of the picture is touched: an unguarded decode of a wrong `step` gives a squeezed
or empty picture without any error. Answers are bit-equal with the real cv_bridge's `rgb8`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from sensor_msgs.msg import CompressedImage, Image

from transposenet_core.image_files import decode_picture
from transposenet_ros.picture_header import NotAPicture, picture_size

MAX_PIXELS = 64_000_000
# The network's picture is as wide as this one is for its height: a row of 20 000 pixels would become 4 GB.
MAX_SIDE_RATIO = 100


class DecodeError(Exception):
    """A message that is no picture; `reason` is the name it is counted under, the text says what was found."""

    reason = "decode_failed"


class BadDims(DecodeError):
    """A side of zero, more than `MAX_PIXELS` pixels, or one side more than `MAX_SIDE_RATIO` times the other."""

    reason = "bad_dims"


class BadStep(DecodeError):
    """Rows that are shorter than their pixels or end within one."""

    reason = "bad_step"


class BadSize(DecodeError):
    """Fewer bytes than `height` rows of `step`."""

    reason = "bad_size"


class BadEncoding(DecodeError):
    """An encoding or compressed format that is not in the table."""

    reason = "bad_encoding"


class DecodeFailed(DecodeError):
    """Compressed bytes that are damaged, cut off or no picture."""

    reason = "decode_failed"


@dataclass(frozen=True)
class Encoding:
    """Bytes of one pixel, and how (H, W, bytes) uint8 becomes (H, W, 3) uint8 RGB."""

    pixel_bytes: int
    to_rgb: Callable[[np.ndarray], np.ndarray]


def _convert(code: int) -> Callable[[np.ndarray], np.ndarray]:
    return lambda pixels_HWC: cv2.cvtColor(pixels_HWC, code)


ENCODINGS: dict[str, Encoding] = {
    "rgb8": Encoding(3, np.ascontiguousarray),
    "bgr8": Encoding(3, _convert(cv2.COLOR_BGR2RGB)),
    "rgba8": Encoding(4, _convert(cv2.COLOR_RGBA2RGB)),
    "bgra8": Encoding(4, _convert(cv2.COLOR_BGRA2RGB)),
    "mono8": Encoding(1, _convert(cv2.COLOR_GRAY2RGB)),
}
COMPRESSED_FORMATS = ("jpeg", "png")


def decode_image(message: Image | CompressedImage) -> np.ndarray:
    """The picture of a message as (H, W, 3) uint8 RGB; it may share memory with the message.

    Raises a DecodeError whose `reason` is bad_dims, bad_step, bad_size, bad_encoding or decode_failed.
    """
    return _decode_compressed(message) if isinstance(message, CompressedImage) else _decode_raw(message)


def _decode_raw(message: Image) -> np.ndarray:
    height, width, step, size = message.height, message.width, message.step, len(message.data)
    _check_dims(width, height)
    encoding = ENCODINGS.get(message.encoding)
    if encoding is None:
        raise BadEncoding(f"encoding {message.encoding!r}; supported are {', '.join(ENCODINGS)}")
    row_bytes = width * encoding.pixel_bytes
    if step < row_bytes or step % encoding.pixel_bytes:
        raise BadStep(
            f"step {step}; {width} pixels of {message.encoding} take {row_bytes} bytes and "
            f"a step is a multiple of {encoding.pixel_bytes}"
        )
    if size < step * height:
        raise BadSize(f"{size} bytes of data; {height} rows of step {step} take {step * height}")
    rows = np.frombuffer(message.data, np.uint8, count=step * height).reshape(height, step)
    pixels_HWC = rows[:, :row_bytes].reshape(height, width, encoding.pixel_bytes)
    return encoding.to_rgb(pixels_HWC)


def _decode_compressed(message: CompressedImage) -> np.ndarray:
    # The bytes say what they are; `format` is free text that drivers fill as they like, and only explains a failure.
    data = memoryview(message.data).cast("B").tobytes()
    try:
        width, height = picture_size(data)
    except NotAPicture as error:
        if _names_another_format(message.format):
            supported = ", ".join(COMPRESSED_FORMATS)
            raise BadEncoding(f"compressed format {message.format!r}; supported are {supported}") from None
        raise DecodeFailed(str(error)) from None
    _check_dims(width, height)
    try:
        image_HW3 = decode_picture(data)
    except cv2.error as error:
        raise DecodeFailed(f"OpenCV refuses {len(data)} bytes: {error.err}") from None
    if image_HW3 is None:
        raise DecodeFailed(f"OpenCV cannot decode {len(data)} bytes of {message.format!r}")
    return image_HW3


def _names_another_format(format: str) -> bool:
    name = format.lower()
    return bool(name.strip()) and ("compresseddepth" in name or not any(f in name for f in ("jpeg", "jpg", "png")))


def _check_dims(width: int, height: int) -> None:
    if width == 0 or height == 0 or width * height > MAX_PIXELS:
        raise BadDims(f"a picture of {width} x {height}; 1 to {MAX_PIXELS:,} pixels are allowed")
    if max(width, height) > MAX_SIDE_RATIO * min(width, height):
        raise BadDims(f"a picture of {width} x {height}; sides of at most {MAX_SIDE_RATIO} to 1 are allowed")

"""JPEG and PNG of sensor_msgs/CompressedImage, by the rules of the data check and training (`encoded_images`)."""

from __future__ import annotations

import numpy as np
from sensor_msgs.msg import CompressedImage

from transposenet_core.encoded_images.decoding import decode_image
from transposenet_core.encoded_images.errors import ImageDataError, ImageSizeError
from transposenet_core.encoded_images.jpeg_stream import JPEG_START
from transposenet_core.encoded_images.png_stream import PNG_START
from transposenet_ros.decoding.errors import BadDims, BadEncoding, DecodeFailed

COMPRESSED_FORMATS = ("jpeg", "png")


def decode_compressed(message: CompressedImage) -> np.ndarray:
    """The image as (H, W, 3) uint8 RGB. Raises BadDims, BadEncoding or DecodeFailed."""
    data = memoryview(message.data).cast("B").tobytes()
    _check_codec(data, message.format)
    try:
        return decode_image(data)
    except ImageSizeError as error:
        raise BadDims(str(error)) from None
    except ImageDataError as error:
        raise DecodeFailed(str(error)) from None


def _check_codec(data: bytes, format: str) -> None:
    """By the bytes: `format` is free text that drivers fill as they like, and only explains bytes of another kind."""
    if not data.startswith((JPEG_START, PNG_START)) and _names_another_format(format):
        supported = ", ".join(COMPRESSED_FORMATS)
        raise BadEncoding(f"compressed format {format!r}; supported are {supported}")


def _names_another_format(format: str) -> bool:
    name = format.lower()
    return bool(name.strip()) and ("compresseddepth" in name or not any(f in name for f in ("jpeg", "jpg", "png")))

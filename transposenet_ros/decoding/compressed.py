"""JPEG and PNG of sensor_msgs/CompressedImage, by the rules of the data check and training (`encoded_images`)."""

from __future__ import annotations

import numpy as np
from sensor_msgs.msg import CompressedImage

from transposenet_core.encoded_images.decoding import decode_image
from transposenet_core.encoded_images.errors import ImageDataError, ImageSizeError
from transposenet_core.encoded_images.jpeg_stream import JPEG_START
from transposenet_core.encoded_images.png_stream import PNG_START
from transposenet_ros.decoding.compressed_format import check_codec, read_format
from transposenet_ros.decoding.errors import BadDims, DecodeFailed


def decode_compressed(message: CompressedImage) -> np.ndarray:
    """The image as (H, W, 3) uint8 RGB, mosaics interpolated. Raises BadDims, BadEncoding or DecodeFailed."""
    format = read_format(message.format)
    data = memoryview(message.data).cast("B").tobytes()
    if not data.startswith((JPEG_START, PNG_START)):  # the codec in `format` only explains bytes of another kind
        check_codec(message.format)
    try:
        return format.to_rgb(decode_image(data))
    except ImageSizeError as error:
        raise BadDims(str(error)) from None
    except ImageDataError as error:
        raise DecodeFailed(str(error)) from None

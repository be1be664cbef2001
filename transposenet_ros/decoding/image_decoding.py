"""From sensor_msgs images to RGB, without trusting a single field of the message.

Every field is checked before a byte of the image is touched: an unguarded decode of a wrong `step` gives a squeezed
or empty image without any error. Results are bit-equal with the real cv_bridge's `rgb8`.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable

import numpy as np
from sensor_msgs.msg import CompressedImage, Image

from transposenet_ros.decoding.compressed import decode_compressed
from transposenet_ros.decoding.cv_bridge_converter import CvBridgeConverter
from transposenet_ros.decoding.encodings import ENCODINGS, Encoding
from transposenet_ros.decoding.errors import BadDims, BadEncoding, BadSize, BadStep, DecodeError, DecodeFailed
from transposenet_ros.decoding.gate import MAX_PIXELS, MAX_SIDE_RATIO, admit

__all__ = [
    "ENCODINGS",
    "MAX_PIXELS",
    "MAX_SIDE_RATIO",
    "BadDims",
    "BadEncoding",
    "BadSize",
    "BadStep",
    "DecodeError",
    "DecodeFailed",
    "Decoder",
    "decode_image",
    "image_decoder",
]

Decoder = Callable[[Image | CompressedImage], np.ndarray]


def convert(message: Image, encoding: Encoding) -> np.ndarray:
    """(H, W, 3) uint8 RGB of a raw image that the gate has admitted as `encoding`."""
    rows, step = encoding.rows(message.height), message.step
    samples_RS = np.frombuffer(message.data, np.uint8, count=rows * step).reshape(rows, step)
    if encoding.sample_bytes == 2:
        samples_RS = samples_RS.view(np.uint16)
        if bool(message.is_bigendian) != (sys.byteorder == "big"):
            samples_RS = samples_RS.byteswap()
    return encoding.to_rgb(samples_RS, message.width)


def decode_image(
    message: Image | CompressedImage, convert: Callable[[Image, Encoding], np.ndarray] = convert
) -> np.ndarray:
    """The image of a message as (H, W, 3) uint8 RGB; it may share memory with the message.

    Raises a DecodeError whose `reason` is bad_dims, bad_step, bad_size, bad_encoding or decode_failed. `convert` turns
    raw images into RGB behind the gate; compressed ones are decoded by OpenCV, as in cv_bridge.
    """
    return decode_compressed(message) if isinstance(message, CompressedImage) else convert(message, admit(message))


def image_decoder(name: str) -> Decoder:
    """The decoder that parameter `decoder` names. UserError where it is cv_bridge and the real one is not available."""
    return functools.partial(decode_image, convert=CvBridgeConverter()) if name == "cv_bridge" else decode_image

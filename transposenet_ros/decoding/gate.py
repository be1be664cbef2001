"""The checks that an image must pass before its data are read or memory is allocated for it."""

from __future__ import annotations

from sensor_msgs.msg import Image

from transposenet_core.encoded_images.decoding import MAX_PIXELS, MAX_SIDE_RATIO
from transposenet_core.encoded_images.decoding import check_dims as check_image_dims
from transposenet_core.encoded_images.errors import ImageSizeError
from transposenet_ros.decoding.encodings import ENCODINGS, Encoding
from transposenet_ros.decoding.errors import BadDims, BadEncoding, BadSize, BadStep

__all__ = ["MAX_PIXELS", "MAX_SIDE_RATIO", "admit", "check_dims"]


def check_dims(width: int, height: int) -> None:
    """Raises BadDims for a side of zero, more than MAX_PIXELS, or sides more unlike than MAX_SIDE_RATIO."""
    try:
        check_image_dims(width, height)
    except ImageSizeError as error:
        raise BadDims(str(error)) from None


def admit(message: Image) -> Encoding:
    """The encoding of a message whose fields fit together. Raises BadDims, BadEncoding, BadStep or BadSize."""
    width, height, step = message.width, message.height, message.step
    check_dims(width, height)
    encoding = ENCODINGS.get(message.encoding)
    if encoding is None:
        raise BadEncoding(f"encoding {message.encoding!r}; supported are {', '.join(ENCODINGS)}")
    across, down = encoding.multiple
    if width % across or height % down or min(width, height) < encoding.least:
        raise BadDims(
            f"a {message.encoding} image of {width} x {height}; its sides are multiples of {across} and {down} and "
            f"at least {encoding.least}"
        )
    row_bytes = width * encoding.pixel_bytes
    if step < row_bytes or step % encoding.pixel_bytes:
        raise BadStep(
            f"step {step}; {width} pixels of {message.encoding} take {row_bytes} bytes and a step is a multiple of "
            f"{encoding.pixel_bytes}"
        )
    rows, size = encoding.rows(height), len(message.data)
    if size < rows * step:
        raise BadSize(f"{size} bytes of data; the {rows} rows of a {message.encoding} image take {rows * step}")
    return encoding

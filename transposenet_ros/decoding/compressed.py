"""JPEG and PNG of sensor_msgs/CompressedImage: header first, then OpenCV, then whether all of it was there.

OpenCV decodes a JPEG whose data end early without an error: what is missing comes out grey. Three checks find that:
- A JPEG without its end marker is cut off, one of fewer bytes than its size can take is short.
- A JPEG with restart markers has too few of them when whole pieces are missing.
- libjpeg fills a run of data that ends early with grey of exactly 128. Where the last unit of a run is that grey, the
  image is decoded once more with filling bytes behind each run. A decoder skips what follows complete data, so the
  same image comes out; where data were missing the filling is read in their place, and another image comes out.

Not found: a loss within the very last unit, whole scans of a progressive JPEG, and bytes that were changed within the
data, or lost there so that what is left still fills the image.
"""

from __future__ import annotations

import itertools

import cv2
import numpy as np
from sensor_msgs.msg import CompressedImage

from transposenet_core.image_files import decode_image_bytes
from transposenet_ros.decoding.compressed_format import check_codec, read_format
from transposenet_ros.decoding.errors import DecodeFailed
from transposenet_ros.decoding.gate import MAX_PIXELS, check_dims
from transposenet_ros.decoding.jpeg_stream import JPEG_START, JpegStream, read_jpeg
from transposenet_ros.decoding.png_stream import PNG_START, PngStream, read_png

# A scan passes over the whole image, and a few bytes can ask for one: those of the largest image bound them all.
MAX_SCANNED_PIXELS = 12 * MAX_PIXELS
GREY = 128
# Starts with 00, which closes an FF that the data end with, and has no FF of its own.
FILLING = bytes(range(0, 252, 4))


def decode_compressed(message: CompressedImage) -> np.ndarray:
    """The image as (H, W, 3) uint8 RGB, mosaics interpolated. Raises BadDims, BadEncoding or DecodeFailed."""
    format = read_format(message.format)
    data = memoryview(message.data).cast("B").tobytes()
    stream = _read(data, message.format)
    _check_size(stream, len(data))
    image_HW3 = _decode(stream.image if isinstance(stream, PngStream) else data)
    if image_HW3.shape != (stream.height, stream.width, 3):
        raise DecodeFailed(
            f"{image_HW3.shape[:2]} rows and columns, where {stream.height}, {stream.width} are announced"
        )
    if isinstance(stream, JpegStream) and _looks_short(stream, image_HW3) and _is_short(stream, data, image_HW3):
        raise DecodeFailed(f"a JPEG of {len(data)} bytes whose data end before its image does")
    return format.to_rgb(image_HW3)


def _read(data: bytes, format: str) -> JpegStream | PngStream:
    """By what the bytes are: the codec in `format` is free text of drivers, and only explains other bytes."""
    if data.startswith(JPEG_START):
        return read_jpeg(data)
    if data.startswith(PNG_START):
        return read_png(data)
    check_codec(format)
    raise DecodeFailed(f"{len(data)} bytes that are neither JPEG nor PNG" if data else "no data at all")


def _check_size(stream: JpegStream | PngStream, size: int) -> None:
    """What shows without decoding: nothing is allocated for a large image over a few bytes."""
    width, height, least = stream.width, stream.height, stream.least_bytes
    check_dims(width, height)
    if size < least:
        raise DecodeFailed(f"an image of {width} x {height} in {size} bytes; it takes at least {least}")
    if isinstance(stream, JpegStream) and stream.scans * width * height > MAX_SCANNED_PIXELS:
        raise DecodeFailed(f"a JPEG of {width} x {height} with {stream.scans} scans")
    if isinstance(stream, JpegStream) and stream.in_one_scan:
        found, expected = len(stream.segment_ends), stream.segments_expected()
        if found < expected:
            raise DecodeFailed(f"a JPEG with {found} of {expected} runs of data")


def _decode(data: bytes) -> np.ndarray:
    try:
        image_HW3 = decode_image_bytes(data)
    except cv2.error as error:
        raise DecodeFailed(f"OpenCV refuses {len(data)} bytes: {error.err}") from None
    if image_HW3 is None:
        raise DecodeFailed(f"OpenCV cannot decode {len(data)} bytes")
    return image_HW3


def _looks_short(jpeg: JpegStream, image_HW3: np.ndarray) -> bool:
    """Whether the proof is worth its time: always, where missing data do not show as grey at a known place."""
    if not jpeg.in_one_scan or jpeg.components > 3:
        return True
    return bool((image_HW3[jpeg.last_units()] == GREY).all(axis=-1).any())


def _is_short(jpeg: JpegStream, data: bytes, image_HW3: np.ndarray) -> bool:
    """Whether filling behind each run of compressed data changes the image."""
    borders = [0, *jpeg.segment_ends, len(data)]
    filled = FILLING.join(data[start:end] for start, end in itertools.pairwise(borders))
    return not np.array_equal(_decode(filled), image_HW3)

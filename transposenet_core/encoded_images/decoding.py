"""Which JPEGs and PNGs are accepted, of files and messages: header first, then OpenCV, then whether all of it is there.

An image ends where its own markers end it. What follows (a motion photo's video, a second image, padding) is ignored:
no decoder reads it.

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

import numpy as np

from transposenet_core.encoded_images.errors import ImageDataError, ImageSizeError
from transposenet_core.encoded_images.jpeg_stream import JPEG_START, JpegStream, read_jpeg
from transposenet_core.encoded_images.png_stream import PNG_START, PngStream, read_png

MAX_PIXELS = 64_000_000
# The network's input keeps the aspect ratio of the image: a row of 20 000 pixels would become 4 GB.
MAX_SIDE_RATIO = 100
# A scan passes over the whole image, and a few bytes can ask for one: those of the largest image bound them all.
MAX_SCANNED_PIXELS = 12 * MAX_PIXELS
GREY = 128
# Starts with 00, which closes an FF that the data end with, and has no FF of its own.
FILLING = bytes(range(0, 252, 4))


def decode_image(data: bytes) -> np.ndarray:
    """The image as (H, W, 3) uint8 RGB; its orientation tag is ignored. Raises ImageDataError or ImageSizeError.

    A pose belongs to the sensor's pixels, not to how a viewer would rotate them.
    """
    stream = read_stream(data)
    image_HW3 = _decode(stream.image)
    if image_HW3.shape != (stream.height, stream.width, 3):
        raise ImageDataError(
            f"{image_HW3.shape[:2]} rows and columns, where {stream.height}, {stream.width} are announced"
        )
    if isinstance(stream, JpegStream) and _looks_short(stream, image_HW3) and _is_short(stream, image_HW3):
        raise ImageDataError(f"a JPEG of {len(stream.image)} bytes whose data end before its image does")
    return image_HW3


def read_stream(data: bytes) -> JpegStream | PngStream:
    """The structure of the image, checked without decoding it. Raises ImageDataError or ImageSizeError."""
    if data.startswith(JPEG_START):
        stream: JpegStream | PngStream = read_jpeg(data)
    elif data.startswith(PNG_START):
        stream = read_png(data)
    else:
        raise ImageDataError(f"{len(data)} bytes that are neither JPEG nor PNG" if data else "no data at all")
    _check_size(stream)
    return stream


def check_dims(width: int, height: int) -> None:
    """Raises ImageSizeError for a side of zero, more than MAX_PIXELS, or sides more unlike than MAX_SIDE_RATIO."""
    if width == 0 or height == 0 or width * height > MAX_PIXELS:
        raise ImageSizeError(f"an image of {width} x {height}; 1 to {MAX_PIXELS:,} pixels are allowed")
    if is_strip(width, height):
        raise ImageSizeError(f"an image of {width} x {height}; sides of at most {MAX_SIDE_RATIO} to 1 are allowed")


def is_strip(width: int, height: int) -> bool:
    """Whether the sides are more unlike than MAX_SIDE_RATIO."""
    return max(width, height) > MAX_SIDE_RATIO * min(width, height)


def decode_with_opencv(data: bytes) -> np.ndarray | None:
    """(H, W, 3) uint8 RGB, or None where OpenCV cannot decode the bytes: what it does with any, whole or not."""
    import cv2  # only where an image is decoded: a command's help needs the formats and no OpenCV

    image_HW3 = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    return None if image_HW3 is None else cv2.cvtColor(image_HW3, cv2.COLOR_BGR2RGB)


def _check_size(stream: JpegStream | PngStream) -> None:
    """What shows without decoding: nothing is allocated for a large image over a few bytes."""
    width, height, least, size = stream.width, stream.height, stream.least_bytes, len(stream.image)
    check_dims(width, height)
    if size < least:
        raise ImageDataError(f"an image of {width} x {height} in {size} bytes; it takes at least {least}")
    if isinstance(stream, JpegStream) and stream.scans * width * height > MAX_SCANNED_PIXELS:
        raise ImageDataError(f"a JPEG of {width} x {height} with {stream.scans} scans")
    if isinstance(stream, JpegStream) and stream.in_one_scan:
        found, expected = len(stream.segment_ends), stream.segments_expected()
        if found < expected:
            raise ImageDataError(f"a JPEG with {found} of {expected} runs of data")


def _decode(data: bytes) -> np.ndarray:
    import cv2

    try:
        image_HW3 = decode_with_opencv(data)
    except cv2.error as error:
        raise ImageDataError(f"OpenCV refuses {len(data)} bytes: {error.err}") from None
    if image_HW3 is None:
        raise ImageDataError(f"OpenCV cannot decode {len(data)} bytes")
    return image_HW3


def _looks_short(jpeg: JpegStream, image_HW3: np.ndarray) -> bool:
    """Whether the proof is worth its time: always, where missing data do not show as grey at a known place."""
    if not jpeg.in_one_scan or jpeg.components > 3:
        return True
    return bool((image_HW3[jpeg.last_units()] == GREY).all(axis=-1).any())


def _is_short(jpeg: JpegStream, image_HW3: np.ndarray) -> bool:
    """Whether filling behind each run of compressed data changes the image."""
    borders = [0, *jpeg.segment_ends, len(jpeg.image)]
    filled = FILLING.join(jpeg.image[start:end] for start, end in itertools.pairwise(borders))
    return not np.array_equal(_decode(filled), image_HW3)

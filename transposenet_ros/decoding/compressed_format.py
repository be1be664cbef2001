"""What `format` of a sensor_msgs/CompressedImage says of its pixels, as image_transport's own subscriber reads it.

Its publishers write `ENCODING; CODEC compressed COMPRESSED`: the encoding of the image that was compressed, and that of
the pixels in the file. A decoder sees neither that grey pixels are a Bayer mosaic, nor that red and blue are exchanged,
nor that they are depth. Drivers write anything else they like (`jpeg`, `png`, `h264`, nothing): then the bytes decide.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import cv2
import numpy as np

from transposenet_ros.decoding.encodings import ENCODINGS
from transposenet_ros.decoding.errors import BadDims, BadEncoding

CODECS = ("jpeg", "png")
# OpenCV's names for samples of any meaning (depth, disparity, flow); 8UC1, 8UC3 and 8UC4 are images of the table.
SAMPLES = re.compile(r"\d+[USF]C\d*")
COLOURS = frozenset({"rgb8", "bgr8", "rgba8", "bgra8", "rgb16", "bgr16", "rgba16", "bgra16"})


@dataclass(frozen=True)
class CompressedFormat:
    """``encoding`` is what stands before the semicolon: of the image that was compressed, where it is one of ENCODINGS.

    ``exchanged``: the file has red where a viewer shows blue, because RGB was compressed as if it were BGR.
    """

    encoding: str
    exchanged: bool

    @property
    def is_mosaic(self) -> bool:
        return self.encoding.startswith("bayer_") and self.encoding in ENCODINGS

    @property
    def as_stored(self) -> bool:
        """Whether the file's pixels are the image: what any viewer shows."""
        return not (self.exchanged or self.is_mosaic)

    def to_rgb(self, stored_HW3: np.ndarray) -> np.ndarray:
        """The image of the file's pixels, both (H, W, 3) uint8 RGB. Raises BadDims for a mosaic without inner pixels.

        A mosaic has one channel: where the file has colours it was interpolated before. One that became grey before it
        was compressed (ROS 2's publisher says so by `mono8` behind the semicolon) stays grey but for the edges.
        """
        if self.exchanged:
            return np.ascontiguousarray(stored_HW3[..., ::-1])
        if not self.is_mosaic:
            return stored_HW3
        samples_HW, *others = cv2.split(stored_HW3)
        if not all(np.array_equal(samples_HW, other_HW) for other_HW in others):
            return stored_HW3
        # JPEG has 8 bits, and of a PNG's 16 the upper ones are used as everywhere.
        mosaic = ENCODINGS[self.encoding.rstrip("0123456789") + "8"]
        height, width = samples_HW.shape
        if min(height, width) < mosaic.least:
            raise BadDims(f"a mosaic of {width} x {height}; its sides are at least {mosaic.least}")
        return mosaic.to_rgb(samples_HW, width)


def read_format(format: str) -> CompressedFormat:
    """Raises BadEncoding where what was compressed has no colours."""
    encoding, semicolon, compressed = format.partition(";")
    encoding = encoding.strip()
    if "compresseddepth" in format.lower() or (SAMPLES.fullmatch(encoding) and encoding not in ENCODINGS):
        raise BadEncoding(
            f"compressed format {format!r} is of depth or other samples without colours; supported are "
            f"{', '.join(CODECS)} of {', '.join(ENCODINGS)}"
        )
    # Without a semicolon nobody has converted anything, and colours are stored as in every other file.
    exchanged = bool(semicolon) and encoding in COLOURS and "compressed bgr" not in compressed
    return CompressedFormat(encoding, exchanged)


def check_codec(format: str) -> None:
    """For bytes that are neither JPEG nor PNG: raises BadEncoding where `format` names another codec."""
    name = format.lower()
    if name.strip() and not any(codec in name for codec in (*CODECS, "jpg")):
        raise BadEncoding(f"compressed format {format!r}; supported are {', '.join(CODECS)}")

"""The size that a PNG announces, and whether its chunks lie within it; what is damaged in them OpenCV refuses itself.

Two things OpenCV (4.14, 5.0) would not survive well are refused here: it allocates what a chunk's length field says, up
to 4 GB, before it looks for the bytes; and of an animated PNG whose first frame is small or missing it makes a picture
with what it found in memory for the rest. Names after the PNG specification (third edition), sections 5 and 11.2.1.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from transposenet_ros.decoding.errors import DecodeFailed

PNG_START = b"\x89PNG\r\n\x1a\n"
# Length and type before a chunk's body, checksum behind it.
HEAD, TAIL = struct.Struct(">I4s"), 4
# By colour type: grey, RGB, palette, grey with opacity, RGB with opacity.
SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
# Deflate cannot do better.
MAX_RATIO = 1032


@dataclass(frozen=True)
class PngStream:
    """What the header says: sides in pixels, bits of one pixel."""

    width: int
    height: int
    pixel_bits: int

    @property
    def least_bytes(self) -> int:
        """What a whole picture takes at the very least."""
        return self.height * (self.width * self.pixel_bits // 8) // MAX_RATIO


def read_png(data: bytes) -> PngStream:
    """The header of a PNG of one frame that is there up to its last chunk. Raises DecodeFailed."""
    kind, begin, end = _chunk(data, len(PNG_START))
    if kind != b"IHDR" or end - begin != 13:
        raise DecodeFailed("a PNG without its header")
    width, height, depth, colour = struct.unpack_from(">IIBB", data, begin)
    while kind != b"IEND":
        if kind == b"acTL":
            raise DecodeFailed("an animated PNG; a picture has one frame")
        kind, _, end = _chunk(data, end + TAIL)
    return PngStream(width, height, depth * SAMPLES.get(colour, 1))


def _chunk(data: bytes, position: int) -> tuple[bytes, int, int]:
    """Type of the chunk at a position, and where its body begins and ends."""
    begin = position + HEAD.size
    if begin <= len(data):
        length, kind = HEAD.unpack_from(data, position)
        if begin + length + TAIL <= len(data):
            return kind, begin, begin + length
    raise DecodeFailed(f"a PNG that is cut off after {len(data)} bytes")

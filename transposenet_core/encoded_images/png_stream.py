"""What a PNG announces, and the parts of it that are its image; what is damaged in them OpenCV refuses itself.

Four things that OpenCV (4.14, 5.0) and libpng handle badly are kept from them. OpenCV allocates what a chunk's
length field says, up to 4 GB, before it looks for the bytes, and looks for data behind the end chunk where none came
before it. Of an animated PNG whose first frame is small or missing it makes an image with what it found in memory for
the rest. libpng inflates compressed notes, seconds for a megabyte of them, and all data, even behind a full image.
Names after the PNG specification (third edition), sections 5, 10.1 and 11.2.1.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass

from transposenet_core.encoded_images.errors import ImageDataError

PNG_START = b"\x89PNG\r\n\x1a\n"
# Length and type before a chunk's body, checksum behind it.
HEAD, TAIL = struct.Struct(">I4s"), 4
# What the pixels are made of. The rest (time, text, colour profile, ...) changes none of them in OpenCV.
IMAGE = frozenset({b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"})
ANIMATION = frozenset({b"acTL", b"fcTL", b"fdAT"})
# By colour type: grey, RGB, palette, grey with opacity, RGB with opacity.
SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
# Deflate cannot do better.
MAX_RATIO = 1032
# Up to a megabyte of data cost no more time than the largest image does, and are not looked into: it nearly doubles
# the time of an image, and no 8-bit one of 640 x 480 reaches that.
HARMLESS_BYTES = 1_000_000 * MAX_RATIO
INFLATED_AT_ONCE = 16_384


@dataclass(frozen=True)
class PngStream:
    """What the header says (sides in pixels, bits of one pixel) and `image`, the file without its notes."""

    width: int
    height: int
    pixel_bits: int
    image: bytes

    @property
    def least_bytes(self) -> int:
        """What a whole image takes at the very least."""
        return self.height * (self.width * self.pixel_bits // 8) // MAX_RATIO


def read_png(data: bytes) -> PngStream:
    """The header of a PNG of one frame that is there up to its last chunk. Raises ImageDataError."""
    kind, begin, end = _chunk(data, len(PNG_START))
    if kind != b"IHDR" or end - begin != 13:
        raise ImageDataError("a PNG without its header")
    width, height, depth, colour = struct.unpack_from(">IIBB", data, begin)
    pieces, bodies = [PNG_START, data[len(PNG_START) : end + TAIL]], []
    while kind != b"IEND":
        start = end + TAIL
        kind, begin, end = _chunk(data, start)
        if kind in ANIMATION:
            raise ImageDataError("an animated PNG; an image has one frame")
        if kind in IMAGE:
            pieces.append(data[start : end + TAIL])
        if kind == b"IDAT":
            bodies.append(data[begin:end])
    if not bodies:
        raise ImageDataError("a PNG without an image in it")
    pixel_bits = depth * SAMPLES.get(colour, 1)
    _refuse_endless(bodies, height * (width * pixel_bits // 8 + 2))
    return PngStream(width, height, pixel_bits, b"".join(pieces))


def _chunk(data: bytes, position: int) -> tuple[bytes, int, int]:
    """Type of the chunk at a position, and where its body begins and ends."""
    begin = position + HEAD.size
    if begin <= len(data):
        length, kind = HEAD.unpack_from(data, position)
        if begin + length + TAIL <= len(data):
            return kind, begin, begin + length
    raise ImageDataError(f"a PNG that is cut off after {len(data)} bytes")


def _refuse_endless(bodies: list[bytes], size: int) -> None:
    """ImageDataError where the data inflate to more than twice `size`, which an interlaced image's rows may reach."""
    compressed = b"".join(bodies)
    if len(compressed) * MAX_RATIO <= max(HARMLESS_BYTES, size):
        return
    inflater, inflated = zlib.decompressobj(), 0
    for start in range(0, len(compressed), INFLATED_AT_ONCE):
        try:
            inflated += len(inflater.decompress(compressed[start : start + INFLATED_AT_ONCE]))
        except zlib.error:
            return  # damaged, which OpenCV finds as well
        if inflated > 2 * size + 64:
            raise ImageDataError(f"a PNG whose data are more than the {size} bytes of its image")
        if inflater.eof:
            return

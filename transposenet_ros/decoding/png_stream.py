"""The size that a PNG announces. What is damaged or short OpenCV refuses itself.

An animated PNG is refused here: OpenCV makes a picture of one whose first frame is small or missing, and gives what it
found in memory for the rest.
"""

from __future__ import annotations

import struct

from transposenet_ros.decoding.errors import DecodeFailed

PNG_START = b"\x89PNG\r\n\x1a\n"
PNG_END = b"IEND\xaeB`\x82"


def png_size(data: bytes) -> tuple[int, int]:
    """Width and height in pixels of a PNG of one frame that has its last chunk. Raises DecodeFailed."""
    if len(data) < 24 or data[12:16] != b"IHDR":
        raise DecodeFailed("a PNG without its header")
    if PNG_END not in data:
        raise DecodeFailed(f"a PNG that is cut off after {len(data)} bytes")
    if b"acTL" in data[: data.find(b"IDAT")]:
        raise DecodeFailed("an animated PNG; a picture has one frame")
    width, height = struct.unpack(">II", data[16:24])
    return width, height

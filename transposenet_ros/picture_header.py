"""The size that a JPEG or PNG announces, and whether its end is there, before anything is allocated for it.

OpenCV decodes a JPEG that is cut off without an error (grey lower half) and allocates what a header claims: both are
found here, from the container's own structure.
"""

from __future__ import annotations

import struct

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
PNG_END = b"IEND\xaeB`\x82"
JPEG_END = b"\xff\xd9"
JPEG_SCAN = 0xDA
# Start-of-frame markers carry the size; C4, C8 and CC lie in their range and are tables.
JPEG_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
JPEG_BARE = frozenset({0x01, *range(0xD0, 0xD9)})


class NotAPicture(Exception):
    """Bytes that are no whole JPEG or PNG; the text says what is wrong."""


def picture_size(data: bytes) -> tuple[int, int]:
    """Width and height in pixels of a complete JPEG or PNG. Raises NotAPicture."""
    if data.startswith(b"\xff\xd8"):
        return _jpeg_size(data)
    if data.startswith(PNG_SIGNATURE):
        return _png_size(data)
    raise NotAPicture(f"{len(data)} bytes that are neither JPEG nor PNG" if data else "no data at all")


def _png_size(data: bytes) -> tuple[int, int]:
    if len(data) < 24 or data[12:16] != b"IHDR":
        raise NotAPicture("a PNG without its header")
    if PNG_END not in data:
        raise NotAPicture(f"a PNG that is cut off after {len(data)} bytes")
    width, height = struct.unpack(">II", data[16:24])
    return width, height


def _jpeg_size(data: bytes) -> tuple[int, int]:
    # Marker segments are skipped by their lengths: a thumbnail inside one has a size and an end of its own.
    size, position = None, 2
    while position + 4 <= len(data):
        if data[position] != 0xFF:
            raise NotAPicture(f"a JPEG whose header is damaged at byte {position}")
        marker = data[position + 1]
        if marker == 0xFF:
            position += 1
            continue
        if marker in JPEG_BARE:
            position += 2
            continue
        (length,) = struct.unpack(">H", data[position + 2 : position + 4])
        if marker in JPEG_FRAMES and position + 9 <= len(data):
            height, width = struct.unpack(">HH", data[position + 5 : position + 9])
            size = width, height
        elif marker == JPEG_SCAN:
            if size is None:
                break
            # In a scan a byte FF is followed by 00, so that an end marker found behind its start is the real one.
            if data.find(JPEG_END, position) < 0:
                raise NotAPicture(f"a JPEG that is cut off after {len(data)} bytes")
            return size
        position += 2 + length
    raise NotAPicture(f"a JPEG of {len(data)} bytes without a picture in it")

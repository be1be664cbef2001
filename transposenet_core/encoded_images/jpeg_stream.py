"""The structure of a JPEG, read without decoding it: its size, its scans, and where its compressed data end.

Names and layouts after ITU-T T.81: markers in table B.1, frame and scan headers in B.2.2 and B.2.3, restart intervals
in B.2.4.4. A minimum coded unit (MCU) is the block of pixels that a scan goes through one after the other.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass

import numpy as np

from transposenet_core.encoded_images.errors import ImageDataError

JPEG_START = b"\xff\xd8"
SCAN, END, RESTART_INTERVAL = 0xDA, 0xD9, 0xDD
# Start-of-frame markers carry the size; C4, C8 and CC lie in their range and are tables.
FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
SEQUENTIAL, PROGRESSIVE = frozenset({0xC0, 0xC1}), 0xC2
RESTARTS = frozenset(range(0xD0, 0xD8))
# A marker is a byte that is not 00 behind an FF; more FF before it is filling. In compressed data 00 follows each FF.
MARKER = re.compile(rb"\xff+([^\x00\xff])")
MARKER_IN_DATA = re.compile(rb"\xff(?=[^\x00\xff])")
# Progressive JPEGs have about ten; each costs a pass over the whole image.
MAX_SCANS = 100


@dataclass
class JpegStream:
    """What the headers say: marker of the frame, sides in pixels, size of an MCU, MCUs between restarts (0: none).

    `segment_ends` are the byte positions where runs of compressed data end: before each restart and behind each scan.
    `image` are the bytes up to the image's own end marker, without what follows it.
    """

    frame: int = 0
    width: int = 0
    height: int = 0
    components: int = 0
    unit: tuple[int, int] = (8, 8)
    restart_interval: int = 0
    scans: int = 0
    segment_ends: tuple[int, ...] = ()
    image: bytes = b""

    @property
    def in_one_scan(self) -> bool:
        """Whether MCUs follow each other from left to right and from top to bottom, as cameras write them."""
        return self.frame in SEQUENTIAL and self.scans == 1

    @property
    def least_bytes(self) -> int:
        """What a whole image takes at the very least: Huffman codes need a bit for every 8 x 8 pixels."""
        return self.width * self.height // 512

    def last_units(self) -> tuple[np.ndarray, np.ndarray]:
        """Rows and columns, in pixels, of the middle of each segment's last MCU; for a JPEG in one scan."""
        across, total = self._units()
        each = self.restart_interval or total
        last = np.append(np.arange(each, total, each), total) - 1
        rows = last // across * self.unit[1] + self.unit[1] // 2
        columns = last % across * self.unit[0] + self.unit[0] // 2
        return np.minimum(rows, self.height - 1), np.minimum(columns, self.width - 1)

    def segments_expected(self) -> int:
        """Runs of compressed data that a whole image has; for a JPEG in one scan."""
        total = self._units()[1]
        return -(-total // (self.restart_interval or total))

    def _units(self) -> tuple[int, int]:
        across = -(-self.width // self.unit[0])
        return across, across * -(-self.height // self.unit[1])


def read_jpeg(data: bytes) -> JpegStream:
    """The structure of a JPEG up to its end marker. Raises ImageDataError where it is damaged, cut off or empty.

    Segments are skipped by their lengths: a thumbnail inside one has a size and an end of its own.
    """
    stream, position = JpegStream(), len(JPEG_START)
    while True:
        marker, position = _next_marker(data, position)
        if marker == END:
            break
        body, position = _segment(data, position)
        if marker in FRAMES:
            _read_frame(stream, marker, body)
        elif marker == RESTART_INTERVAL and len(body) >= 2:
            (stream.restart_interval,) = struct.unpack_from(">H", body)
        elif marker == SCAN:
            position = _skip_scan(stream, data, position)
    if not stream.scans:
        raise ImageDataError("a JPEG without an image in it")
    stream.image = data[:position]
    return stream


def _next_marker(data: bytes, position: int) -> tuple[int, int]:
    """The marker at a position, where nothing else may stand, and the position behind it."""
    if match := MARKER.match(data, position):
        return match.group(1)[0], match.end()
    if not data[position:].strip(b"\xff"):
        raise _cut_off(data)
    raise ImageDataError(f"a JPEG that is damaged at byte {position}")


def _segment(data: bytes, position: int) -> tuple[bytes, int]:
    """The body of the marker segment at a position, and the position behind it."""
    length = int.from_bytes(data[position : position + 2], "big")
    if position + max(length, 2) > len(data):
        raise _cut_off(data)
    return data[position + 2 : position + length], position + max(length, 2)


def _read_frame(stream: JpegStream, marker: int, body: bytes) -> None:
    if stream.frame or len(body) < 6 or not body[5] or len(body) < 6 + 3 * body[5]:
        raise ImageDataError("a JPEG with a damaged or a second frame header")
    if marker not in SEQUENTIAL | {PROGRESSIVE}:
        raise ImageDataError(
            f"a JPEG of kind {marker:02X}; cameras write C0, C1 or C2 (with Huffman codes, not lossless)"
        )
    stream.frame = marker
    stream.height, stream.width, stream.components = struct.unpack_from(">HHB", body, 1)
    factors = body[7 : 6 + 3 * stream.components : 3]
    if not all(1 <= factor >> 4 <= 4 and 1 <= factor & 15 <= 4 for factor in factors):
        raise ImageDataError("a JPEG with sampling factors that do not exist")
    if stream.components > 1:
        stream.unit = 8 * max(factor >> 4 for factor in factors), 8 * max(factor & 15 for factor in factors)


def _skip_scan(stream: JpegStream, data: bytes, position: int) -> int:
    """Note the segments of the scan whose data begin at a position; the position of the marker behind it."""
    if not stream.frame:
        raise ImageDataError("a JPEG whose image comes before its frame header")
    stream.scans += 1
    if stream.scans > MAX_SCANS:
        raise ImageDataError(f"a JPEG with more than {MAX_SCANS} scans")
    ends = []
    for match in MARKER_IN_DATA.finditer(data, position):
        ends.append(match.start())
        if data[match.end()] not in RESTARTS:
            stream.segment_ends += tuple(ends)
            return match.start()
    raise _cut_off(data)


def _cut_off(data: bytes) -> ImageDataError:
    return ImageDataError(f"a JPEG that is cut off after {len(data)} bytes")

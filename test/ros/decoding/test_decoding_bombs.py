"""Small messages that would cost gigabytes or many seconds, each in its own process (fault matrix, N4, N8, N39).

What each cost before the decoder took care of it, with OpenCV 5.0 on one server core, stands above it.
"""

from __future__ import annotations

import json
import os
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from image_messages import NOISE, compressed, encoded, png_chunk, refusal

from transposenet_core.encoded_images.decoding import decode_with_opencv
from transposenet_core.encoded_images.png_stream import PNG_START, read_png
from transposenet_ros.decoding.image_decoding import DecodeError, decode_image

ROOT = Path(__file__).resolve().parents[3]
MEGABYTES, SECONDS = 100, 1.0
MEGA = 1 << 20
END = png_chunk(b"IEND", b"")


def deflated(megabytes: int) -> bytes:
    """Zeros in deflate's best ratio, a megabyte of them repeated; behind them their Adler-32."""
    deflate = zlib.compressobj(9, wbits=-15)
    piece = deflate.compress(bytes(MEGA)) + deflate.flush(zlib.Z_FULL_FLUSH)
    check = (megabytes * MEGA % 65521) << 16 | 1
    return b"\x78\xda" + piece * megabytes + deflate.flush() + struct.pack(">I", check)


def png(before: bytes = b"", data: bytes | None = None, after: bytes = b"", size: tuple[int, int] = (16, 12)) -> bytes:
    """An RGB image of 8 bits; black where `data` is not given."""
    width, height = size
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    data = zlib.compress(bytes(height * (1 + 3 * width))) if data is None else data
    return PNG_START + header + before + png_chunk(b"IDAT", data) + after + END


def segment(marker: int, body: bytes) -> bytes:
    return bytes([0xFF, marker]) + struct.pack(">H", len(body) + 2) + body


def jpeg_of_scans(frame: int, scans: bytes, width: int = 8000, height: int = 8000) -> bytes:
    """A grey JPEG with one code of one bit a table: symbol 0 for DC, a run of 16 384 empty blocks for AC."""
    code = bytes([1] + 15 * [0])
    tables = segment(0xDB, b"\0" + bytes([1] * 64))
    tables += segment(0xC4, b"\0" + code + b"\0") + segment(0xC4, b"\x10" + code + b"\xe0")
    header = segment(frame, struct.pack(">BHHB", 8, height, width, 1) + bytes([1, 0x11, 0]))
    return b"\xff\xd8" + tables + header + scans + b"\xff\xd9"


def scan(first: int, last: int, bits: int, size: int) -> bytes:
    return segment(0xDA, bytes([1, 1, 0, first, last, bits])) + bytes(size)


def refinements(count: int) -> bytes:
    """An image of a million blocks and scans over it that refine nothing, in 132 bytes each."""
    return scan(0, 0, 0, 125_000) + scan(1, 63, 0x10, 132) * count


BOMBS = {
    # 4.1 GB and 10 s: OpenCV looks for data behind the end.
    "png end before data": lambda: PNG_START + png()[8:33] + END + struct.pack(">I", 2**32 - 20) + b"IDAT" + bytes(10),
    # 2.3 s
    "png data without end": lambda: png(data=deflated(1024)),
    # 6 s: libpng keeps a thousand notes and inflates up to 8 MB of each.
    "png notes": lambda: png(before=png_chunk(b"zTXt", b"note\0\0" + deflated(7)) * 200),
    "png notes behind": lambda: png(after=png_chunk(b"iTXt", b"note\0\1\0\0\0" + deflated(7)) * 100),
    # 550 MB and 2 s for 540 bytes: arithmetic codes have no least size.
    "jpeg arithmetic": lambda: jpeg_of_scans(0xCA, scan(0, 0, 0, 400)),
    # 10 s: OpenCV decodes it in 5 s, the decoder decoded it twice.
    "jpeg scans": lambda: jpeg_of_scans(0xC2, refinements(98)),
}


@pytest.mark.parametrize("name", BOMBS)
def test_n04_n39_a_small_message_costs_neither_memory_nor_time(name: str, tmp_path: Path) -> None:
    file = tmp_path / "bomb"
    file.write_bytes(BOMBS[name]())
    assert file.stat().st_size < 2 * MEGA
    cost = costs(file)
    assert cost["end"] == ("(12, 16, 3)" if "notes" in name else "decode_failed")
    assert cost["megabytes"] < MEGABYTES and cost["seconds"] < SECONDS


def costs(file: Path) -> dict:
    command = [sys.executable, str(ROOT / "test" / "ros" / "decoding_cost.py"), str(file)]
    done = subprocess.run(
        command, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=True, timeout=100
    )
    return json.loads(done.stdout)


def test_n04_the_measure_sees_what_a_legal_image_costs(tmp_path: Path) -> None:
    """9 million pixels: six bytes each are held at the end, for the image in OpenCV's order and in ours."""
    file = tmp_path / "large.png"
    file.write_bytes(png(size=(3000, 3000)))
    cost = costs(file)
    assert cost["end"] == "(3000, 3000, 3)" and 6 * 9 * 0.9 < cost["megabytes"] < 6 * 9 + 40 and cost["seconds"] > 0.01


@pytest.mark.parametrize("kind", [b"acTL", b"fcTL", b"fdAT"])
def test_n08_any_part_of_an_animation_is_refused(kind: bytes) -> None:
    """Empty ones too, whose fields OpenCV would read all the same."""
    for chunk in (png_chunk(kind, b""), png_chunk(kind, bytes(26))):
        with pytest.raises(DecodeError, match="an animated PNG"):
            decode_image(compressed(png(before=chunk), "png"))


def test_n08_notes_of_a_png_change_nothing_and_are_left_out() -> None:
    """Gamma, profile, significant bits, background and the like: OpenCV's image is the same with them."""
    notes = {
        b"gAMA": struct.pack(">I", 20_000),
        b"cHRM": struct.pack(">8I", 31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000),
        b"sRGB": b"\1",
        b"cICP": b"\x09\x10\0\1",
        b"sBIT": b"\3\3\3",
        b"bKGD": bytes(6),
        b"pHYs": struct.pack(">IIB", 1, 2, 1),
        b"tEXt": b"Software\0camera",
        b"eXIf": b"MM\0*\0\0\0\x08\0\1\x01\x12\0\3\0\0\0\1\0\6\0\0\0\0\0\0",
    }
    plain = encoded(".png")
    for kind, body in notes.items():
        noted = plain[:33] + png_chunk(kind, body) + plain[33:]
        np.testing.assert_array_equal(decode_with_opencv(noted), NOISE[..., ::-1], err_msg=str(kind))
        assert read_png(noted).image == plain
    palette = png_chunk(b"PLTE", bytes(range(12))) + png_chunk(b"tRNS", b"\0\7")
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", 4, 1, 8, 3, 0, 0, 0))
    coloured = PNG_START + header + palette + png_chunk(b"IDAT", zlib.compress(bytes([0, 0, 1, 2, 3]))) + END
    assert read_png(coloured).image == coloured
    np.testing.assert_array_equal(decode_image(compressed(coloured, "png")), np.arange(12).reshape(1, 4, 3))


def test_n08_large_images_of_noise_are_accepted_and_damaged_ones_refused() -> None:
    """More than a megabyte of data is looked into before it is decoded: whole, longer, cut off, damaged."""
    noise_HW3 = np.random.default_rng(7).integers(0, 256, (600, 600, 3), np.uint8)
    rows = np.pad(noise_HW3.reshape(600, 1800), ((0, 0), (1, 0))).tobytes()
    data = zlib.compress(rows)
    assert len(data) > 1_000_000
    for legal in (data, data + b"rubbish"):
        np.testing.assert_array_equal(decode_image(compressed(png(data=legal, size=(600, 600)), "png")), noise_HW3)
    middle = len(data) // 2
    for bad in (data[:middle], data[:middle] + bytes(100) + data[middle + 100 :]):
        assert refusal(compressed(png(data=bad, size=(600, 600)), "png")) == "decode_failed"


@pytest.mark.parametrize("kind", ["C3", "C9", "CA"], ids=["lossless", "arithmetic", "arithmetic, progressive"])
def test_n08_kinds_of_jpeg_that_no_camera_writes_are_named(kind: str) -> None:
    """OpenCV's libjpeg reads them, at any size that the header claims."""
    with pytest.raises(DecodeError, match=f"a JPEG of kind {kind}"):
        decode_image(compressed(jpeg_of_scans(int(kind, 16), scan(0, 0, 0, 400), 64, 48)))


def test_n08_scans_are_bounded_by_the_pixels_they_pass() -> None:
    """A usual progressive JPEG has ten, at any size; a small one may have a hundred."""
    small = jpeg_of_scans(0xC2, scan(0, 0, 0, 20) + scan(1, 63, 0x10, 8) * 98, 64, 48)
    assert decode_image(compressed(small)).shape == (48, 64, 3)
    ten = jpeg_of_scans(0xC2, refinements(9), 3000, 2000)
    assert decode_image(compressed(ten)).shape == (2000, 3000, 3)
    with pytest.raises(DecodeError, match="8000 x 8000 with 13 scans"):
        decode_image(compressed(jpeg_of_scans(0xC2, refinements(12))))

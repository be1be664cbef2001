"""JPEG and PNG of messages: equal to the file where they are whole, a named refusal where something is missing."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from image_messages import NOISE, compressed, encoded, png_chunk, refusal

from transposenet_core.encoded_images.jpeg_stream import read_jpeg
from transposenet_core.encoded_images.png_stream import read_png
from transposenet_core.image_files import read_image
from transposenet_ros.decoding.image_decoding import DecodeError, decode_image

SAMPLINGS = {"420": 0x221111, "422": 0x211111, "444": 0x111111}
RESTARTS = [cv2.IMWRITE_JPEG_RST_INTERVAL, 3]
PROGRESSIVE = [cv2.IMWRITE_JPEG_PROGRESSIVE, 1]


def smooth(height: int = 64, width: int = 96) -> np.ndarray:
    """An image like a camera's; its sides are whole MCUs."""
    rows, columns = np.mgrid[0:height, 0:width]
    waves = [np.sin(rows / 7 + 1.3 * k) + np.cos(columns / (5 + 2 * k)) for k in range(3)]
    return np.round(127 + 60 * np.stack(waves, axis=-1)).astype(np.uint8)


def jpeg(image: np.ndarray, sampling: str = "420", *flags: int) -> bytes:
    return encoded(".jpg", image, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, SAMPLINGS[sampling], *flags)


def without(data: bytes, start: int, end: int) -> bytes:
    return data[:start] + data[end:]


@pytest.mark.parametrize("format", ["h264", "16UC1; compressedDepth png", "theora"])
def test_n05_unknown_compressed_format(format: str) -> None:
    assert refusal(compressed(b"\x00" * 40, format)) == "bad_encoding"


@pytest.mark.parametrize("extension", [".jpg", ".png"])
def test_n08_a_truncated_image_of_another_name_is_still_a_damaged_one(extension: str) -> None:
    assert refusal(compressed(encoded(extension)[:60], "nonsense")) == "decode_failed"


@pytest.mark.parametrize("extension", [".jpg", ".png"])
@pytest.mark.parametrize("image", [NOISE, NOISE[..., 0]], ids=["colour", "grey"])
@pytest.mark.parametrize("format", ["jpeg", "png", "", "bgr8; jpeg compressed bgr8", "nonsense"])
def test_n08_legal_images_equal_the_file(tmp_path: Path, extension: str, image: np.ndarray, format: str) -> None:
    """Also where `format` says something else: the bytes decide."""
    file = tmp_path / f"image{extension}"
    file.write_bytes(encoded(extension, image))
    np.testing.assert_array_equal(decode_image(compressed(file.read_bytes(), format)), read_image(file))


def test_n08_png_with_alpha_and_sixteen_bits() -> None:
    alpha = np.dstack([NOISE, np.full(NOISE.shape[:2], 7, np.uint8)])
    np.testing.assert_array_equal(decode_image(compressed(encoded(".png", alpha), "png")), NOISE[..., ::-1])
    deep = NOISE.astype(np.uint16) * 257
    np.testing.assert_array_equal(decode_image(compressed(encoded(".png", deep), "png")), NOISE[..., ::-1])


def test_n08_progressive_jpeg_and_padding_after_the_end() -> None:
    progressive = jpeg(smooth(), "420", *PROGRESSIVE)
    assert read_jpeg(progressive).scans > 1
    expected_HW3 = decode_image(compressed(progressive))
    np.testing.assert_array_equal(decode_image(compressed(progressive + bytes(100))), expected_HW3)


@pytest.mark.parametrize("extension", [".jpg", ".png"])
def test_n08_every_truncation_is_refused(extension: str) -> None:
    data = encoded(extension)
    for length in range(len(data)):
        assert refusal(compressed(data[:length])) == "decode_failed", length
    assert decode_image(compressed(data)).shape == (12, 16, 3)


def test_n08_a_cut_behind_an_embedded_thumbnail_is_seen() -> None:
    """The thumbnail in an APP1 segment brings an end marker of its own."""
    thumbnail, data = encoded(".jpg", NOISE[:8, :8]), encoded(".jpg")
    whole = data[:2] + b"\xff\xe1" + struct.pack(">H", len(thumbnail) + 2) + thumbnail + data[2:]
    assert decode_image(compressed(whole)).shape == (12, 16, 3)
    assert refusal(compressed(whole[:-20])) == "decode_failed"


def test_n08_a_huge_announced_size_is_refused_before_it_is_allocated() -> None:
    png = encoded(".png")
    assert refusal(compressed(png[:16] + struct.pack(">II", 65535, 65535) + png[24:])) == "bad_dims"
    data = encoded(".jpg")
    frame = data.index(b"\xff\xc0")
    assert refusal(compressed(data[: frame + 5] + b"\xff\xff\xff\xff" + data[frame + 9 :])) == "bad_dims"


def test_n08_a_second_frame_header_cannot_smuggle_in_another_size() -> None:
    data = encoded(".jpg")
    frame = data.index(b"\xff\xc0")
    header = data[frame : frame + 19]
    assert refusal(compressed(data[:frame] + header + data[frame:])) == "decode_failed"


@given(data=st.binary(max_size=200), magic=st.sampled_from([b"", b"\xff\xd8", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n"]))
@settings(deadline=None)
def test_n08_garbage_is_refused(data: bytes, magic: bytes) -> None:
    assert refusal(compressed(magic + data)) in {"decode_failed", "bad_dims"}


@given(position=st.integers(0, 10**6), value=st.integers(0, 255), extension=st.sampled_from([".jpg", ".png"]))
@settings(deadline=None)
def test_n08_a_damaged_byte_never_escapes_as_another_error(position: int, value: int, extension: str) -> None:
    data = bytearray(encoded(extension))
    data[position % len(data)] = value
    try:
        image_HW3 = decode_image(compressed(bytes(data)))
    except DecodeError as error:
        assert error.reason in {"decode_failed", "bad_dims"}
    else:
        assert image_HW3.ndim == 3 and image_HW3.shape[2] == 3 and image_HW3.dtype == np.uint8


@pytest.mark.parametrize("sampling", SAMPLINGS)
@pytest.mark.parametrize("flags", [[], RESTARTS, PROGRESSIVE], ids=["plain", "restarts", "progressive"])
@pytest.mark.parametrize("share", [0.05, 0.3, 0.6, 0.9])
def test_n09_data_that_end_early_are_refused(sampling: str, flags: list[int], share: float) -> None:
    """The end marker is there, the last scan's data are not: OpenCV gives a grey lower half and no error."""
    data = jpeg(smooth(), sampling, *flags)
    first, last = data.rindex(b"\xff\xda") + 14, read_jpeg(data).segment_ends[-1]
    short = without(data, first + int(share * (last - first)), last)
    assert cv2.imdecode(np.frombuffer(short, np.uint8), cv2.IMREAD_COLOR) is not None, "OpenCV does not mind"
    assert refusal(compressed(short)) == "decode_failed"
    np.testing.assert_array_equal(
        decode_image(compressed(data))[..., ::-1], cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    )


def test_n09_grey_jpeg_and_odd_sides() -> None:
    for image in (smooth()[..., 0], smooth(61, 93), smooth(49, 65)):
        data = encoded(".jpg", image)
        end = read_jpeg(data).segment_ends[-1]
        assert decode_image(compressed(data)).shape[:2] == image.shape[:2]
        assert refusal(compressed(without(data, end - (end - data.index(b"\xff\xda")) // 2, end))) == "decode_failed"


@pytest.mark.parametrize("which", [0, 5, -1])
def test_n09_one_run_between_restarts_that_ends_early_is_found(which: int) -> None:
    """A decoder recovers at the next restart: the grey is in the middle of the image."""
    data = jpeg(smooth(), "420", *RESTARTS)
    ends = read_jpeg(data).segment_ends
    assert len(ends) == 8, "24 MCUs, 3 a run"
    end = ends[which]
    begin = data.index(b"\xff\xda") + 14 if which == 0 else ends[which - 1] + 2
    assert refusal(compressed(without(data, begin + 2, end))) == "decode_failed"


def test_n09_a_run_between_restarts_that_is_lost_is_found() -> None:
    data = jpeg(smooth(), "420", *RESTARTS)
    ends = read_jpeg(data).segment_ends
    assert refusal(compressed(without(data, ends[2], ends[3]))) == "decode_failed"


@pytest.mark.parametrize("flags", [[], RESTARTS, PROGRESSIVE], ids=["plain", "restarts", "progressive"])
def test_n09_an_image_that_is_grey_itself_is_no_damage(flags: list[int]) -> None:
    """A whole JPEG of the very grey that a decoder puts in for missing data."""
    grey_HW3 = smooth()
    grey_HW3[32:] = 128
    for image_HW3 in (grey_HW3, np.full_like(grey_HW3, 128)):
        decoded_HW3 = decode_image(compressed(jpeg(image_HW3, "420", *flags)))
        assert (decoded_HW3[48:] == 128).all(), "the check was really asked"


def test_n09_real_frames_cut_anywhere(data_folder: Path) -> None:
    """A third of a real frame's data lost at the end, at many places: found every time, and no whole frame refused."""
    files = sorted((data_folder / "7scenes" / "redkitchen" / "seq-01").glob("*.color.jpg"))[::50]
    assert len(files) == 20
    for k, file in enumerate(files):
        data = file.read_bytes()
        np.testing.assert_array_equal(decode_image(compressed(data)), read_image(file))
        first, last = data.index(b"\xff\xda") + 14, read_jpeg(data).segment_ends[-1]
        cut = first + (last - first) * (k + 1) // 21
        assert refusal(compressed(without(data, cut, last))) == "decode_failed", (file.name, cut)


def test_n09_png_that_lost_a_piece_is_refused() -> None:
    """A chunk that is missing, and one that is damaged though its checksum fits."""
    noise = np.random.default_rng(5).integers(0, 256, (100, 100, 3), np.uint8)
    data = encoded(".png", noise)
    begin = data.index(b"IDAT") - 4
    size = struct.unpack(">I", data[begin : begin + 4])[0]
    assert refusal(compressed(without(data, begin, begin + size + 12))) == "decode_failed"
    body = bytearray(data[begin + 4 : begin + 8 + size])
    body[size // 2] ^= 0xFF
    damaged = data[: begin + 4] + body + struct.pack(">I", zlib.crc32(body)) + data[begin + size + 12 :]
    assert refusal(compressed(damaged)) == "decode_failed"


def test_n04_a_large_jpeg_over_a_few_bytes_is_refused_before_it_is_allocated() -> None:
    for flags in ([], PROGRESSIVE):
        data = jpeg(smooth(), "420", *flags)
        frame = data.index(b"\xff\xc2" if flags else b"\xff\xc0")
        large = data[: frame + 5] + struct.pack(">HH", 7000, 9000) + data[frame + 9 :]
        with pytest.raises(DecodeError, match=r"9000 x 7000 in \d+ bytes; it takes at least 123046"):
            decode_image(compressed(large))
    png = encoded(".png")
    header = struct.pack(">II", 9000, 7000) + png[24:29]
    with pytest.raises(DecodeError, match=r"9000 x 7000 in \d+ bytes; it takes at least 183139"):
        decode_image(compressed(png[:8] + png_chunk(b"IHDR", header) + png[33:], "png"))


def test_the_emptiest_image_takes_more_than_the_least_bytes() -> None:
    flat = np.full((2000, 2000), 77, np.uint8)
    for flags in ([cv2.IMWRITE_JPEG_OPTIMIZE, 1], PROGRESSIVE):
        data = encoded(".jpg", flat, cv2.IMWRITE_JPEG_QUALITY, 1, *flags)
        assert len(data) > read_jpeg(data).least_bytes
        assert (decode_image(compressed(data)) == decode_image(compressed(data))[0, 0]).all()
    png = encoded(".png", np.zeros((2000, 2000, 3), np.uint8), cv2.IMWRITE_PNG_COMPRESSION, 9)
    assert len(png) > read_png(png).least_bytes > 0.5 * len(png)
    assert not decode_image(compressed(png, "png")).any()


def test_n08_an_animated_png_is_refused() -> None:
    """OpenCV would make an image of one that announces frames and has none."""
    data = encoded(".png")
    animated = data[:33] + png_chunk(b"acTL", struct.pack(">II", 2, 0)) + data[33:]
    assert refusal(compressed(animated, "png")) == "decode_failed"
    note = data[:33] + png_chunk(b"tEXt", b"Software\0camera") + data[33:]
    np.testing.assert_array_equal(decode_image(compressed(note, "png")), NOISE[..., ::-1])


def test_n08_a_jpeg_of_endless_scans_is_refused_before_it_is_decoded() -> None:
    """Each scan costs a pass over the whole image."""
    data = jpeg(smooth(), "420", *PROGRESSIVE)
    begin = data.rindex(b"\xff\xda")
    with pytest.raises(DecodeError, match="more than 100 scans"):
        decode_image(compressed(data[:-2] + data[begin:-2] * 100 + data[-2:]))


def test_n08_filling_before_a_marker_is_legal() -> None:
    data = encoded(".jpg")
    scan = data.index(b"\xff\xda")
    filled = data[:scan] + b"\xff" * 5 + data[scan:-2] + b"\xff" * 3 + data[-2:]
    np.testing.assert_array_equal(decode_image(compressed(filled)), decode_image(compressed(data)))
    assert refusal(compressed(data[:scan] + b"\x00" + data[scan:])) == "decode_failed"


@pytest.mark.parametrize("length", [2**32 - 1, 3_657_440_124, 10_000])
def test_n04_a_png_chunk_longer_than_the_message_is_refused_before_it_is_allocated(length: int) -> None:
    """OpenCV would allocate gigabytes for it and refuse it only then."""
    data = encoded(".png")
    begin = data.index(b"IDAT") - 4
    with pytest.raises(DecodeError, match="a PNG that is cut off"):
        decode_image(compressed(data[:begin] + struct.pack(">I", length) + data[begin + 4 :], "png"))

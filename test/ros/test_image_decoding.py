"""Pictures of messages: bit-equal where they are legal, a named refusal where they are not."""

from __future__ import annotations

import array
import json
import struct
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sensor_msgs.msg import CompressedImage, Image

from transposenet_core.image_files import read_image
from transposenet_ros.image_decoding import ENCODINGS, MAX_PIXELS, DecodeError, decode_image

NOISE = np.random.default_rng(0).integers(0, 256, (12, 16, 3), np.uint8)


def raw(
    encoding: str = "rgb8", width: int = 4, height: int = 3, step: int | None = None, data: bytes | None = None
) -> Image:
    step = width * ENCODINGS[encoding].pixel_bytes if step is None else step
    data = bytes(step * height) if data is None else data
    return Image(encoding=encoding, width=width, height=height, step=step, data=array.array("B", data))


def compressed(data: bytes, format: str = "jpeg") -> CompressedImage:
    return CompressedImage(format=format, data=array.array("B", data))


def encoded(extension: str, image: np.ndarray = NOISE, *flags: int) -> bytes:
    return cv2.imencode(extension, image, list(flags))[1].tobytes()


def refusal(message: Image | CompressedImage) -> str:
    with pytest.raises(DecodeError) as caught:
        decode_image(message)
    assert str(caught.value), "a refusal says what was found"
    return caught.value.reason


def test_golden_pictures_are_bit_equal_with_cv_bridge(data_folder: Path) -> None:
    golden = np.load(data_folder / "decoding" / "cv_bridge_golden.npz")
    seen = set()
    for case in json.loads(str(golden["meta"])):
        data = array.array("B", golden[f"{case['key']}_data"].tobytes())
        if case["kind"] == "Image":
            if case["encoding"] not in ENCODINGS:
                continue
            fields = {name: case[name] for name in ("encoding", "width", "height", "step", "is_bigendian")}
            message = Image(data=data, **fields)
        else:
            message = CompressedImage(data=data, format=case["format"])
        np.testing.assert_array_equal(decode_image(message), golden[f"{case['key']}_rgb"], err_msg=str(case))
        seen.add(case.get("encoding", "compressed"))
    assert seen == {*ENCODINGS, "compressed"}


@given(
    encoding=st.sampled_from(sorted(ENCODINGS)),
    width=st.integers(1, 9),
    height=st.integers(1, 9),
    padding=st.integers(0, 5),
    seed=st.integers(0, 2**32 - 1),
)
@settings(deadline=None)
def test_n03_any_size_and_padding(encoding: str, width: int, height: int, padding: int, seed: int) -> None:
    """The rows' padding never shows, and every pixel is the one that was written, channel by channel."""
    random = np.random.default_rng(seed)
    image_HW3 = random.integers(0, 256, (height, width, 3), np.uint8)
    if encoding == "mono8":
        pixels_HWC, expected_HW3 = image_HW3[..., :1], np.repeat(image_HW3[..., :1], 3, axis=-1)
    else:
        order = [encoding.index(letter) for letter in "rgb"]
        pixels_HWC = random.integers(0, 256, (height, width, ENCODINGS[encoding].pixel_bytes), np.uint8)
        pixels_HWC[..., order], expected_HW3 = image_HW3, image_HW3
    step = (width + padding) * pixels_HWC.shape[-1]
    rows = random.integers(0, 256, (height, step), np.uint8)
    rows[:, : pixels_HWC[0].size] = pixels_HWC.reshape(height, -1)
    decoded_HW3 = decode_image(raw(encoding, width, height, step, rows.tobytes()))
    np.testing.assert_array_equal(decoded_HW3, expected_HW3)
    assert decoded_HW3.dtype == np.uint8 and decoded_HW3.flags.c_contiguous


def test_n01_truncated_data() -> None:
    assert refusal(raw(data=bytes(4 * 3 * 3 - 1))) == "bad_size"
    assert refusal(raw(data=b"")) == "bad_size"


@pytest.mark.parametrize("step", [0, 1, 11, 13, 14])
def test_n02_bad_step(step: int) -> None:
    assert refusal(raw(width=4, step=step, data=bytes(1000))) == "bad_step"


@pytest.mark.parametrize("size", [(0, 3), (4, 0), (0, 0), (65535, 65535), (MAX_PIXELS + 1, 1), (2**32 - 1, 2**32 - 1)])
def test_n04_bad_dims(size: tuple[int, int]) -> None:
    width, height = size
    assert refusal(raw(width=width, height=height, step=12, data=bytes(36))) == "bad_dims"


@pytest.mark.parametrize("size", [(20_000, 1), (1, 20_000), (201, 2)])
def test_n04_a_thin_strip_would_be_blown_up_by_the_resize(size: tuple[int, int]) -> None:
    width, height = size
    assert refusal(raw("mono8", width, height)) == "bad_dims"
    assert decode_image(raw("mono8", 200, 2)).shape == (2, 200, 3)


@pytest.mark.parametrize("encoding", ["foo8", "32FC1", "16UC1", "h264", "", "RGB8", "rgb8 "])
def test_n05_unknown_encoding_names_the_supported_ones(encoding: str) -> None:
    message = raw()
    message.encoding = encoding
    with pytest.raises(DecodeError, match="rgb8, bgr8, rgba8, bgra8, mono8") as caught:
        decode_image(message)
    assert caught.value.reason == "bad_encoding"


@pytest.mark.parametrize("format", ["h264", "16UC1; compressedDepth png", "theora"])
def test_n05_unknown_compressed_format(format: str) -> None:
    assert refusal(compressed(b"\x00" * 40, format)) == "bad_encoding"


@pytest.mark.parametrize("extension", [".jpg", ".png"])
@pytest.mark.parametrize("image", [NOISE, NOISE[..., 0]], ids=["colour", "grey"])
@pytest.mark.parametrize("format", ["jpeg", "png", "", "bgr8; jpeg compressed bgr8", "nonsense"])
def test_n08_legal_pictures_equal_the_file(tmp_path: Path, extension: str, image: np.ndarray, format: str) -> None:
    """Also where `format` says something else: the bytes decide."""
    file = tmp_path / f"picture{extension}"
    file.write_bytes(encoded(extension, image))
    np.testing.assert_array_equal(decode_image(compressed(file.read_bytes(), format)), read_image(file))


def test_n08_png_with_alpha_and_sixteen_bits() -> None:
    alpha = np.dstack([NOISE, np.full(NOISE.shape[:2], 7, np.uint8)])
    np.testing.assert_array_equal(decode_image(compressed(encoded(".png", alpha), "png")), NOISE[..., ::-1])
    deep = NOISE.astype(np.uint16) * 257
    np.testing.assert_array_equal(decode_image(compressed(encoded(".png", deep), "png")), NOISE[..., ::-1])


def test_n08_progressive_jpeg_and_padding_after_the_end() -> None:
    progressive = encoded(".jpg", NOISE, cv2.IMWRITE_JPEG_PROGRESSIVE, 1)
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
    jpeg = encoded(".jpg")
    frame = jpeg.index(b"\xff\xc0")
    assert refusal(compressed(jpeg[: frame + 5] + b"\xff\xff\xff\xff" + jpeg[frame + 9 :])) == "bad_dims"


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

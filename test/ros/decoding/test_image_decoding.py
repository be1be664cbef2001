"""Raw images of messages: bit-equal where they are legal, a named refusal where they are not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from golden_messages import golden_messages
from hypothesis import given, settings
from hypothesis import strategies as st
from image_messages import CHANNELS, GREY_ENCODINGS, PAIRS, message_of, raw, refusal

from transposenet_ros.decoding.image_decoding import ENCODINGS, MAX_PIXELS, DecodeError, decode_image

WIDE = [name for name, layout in ENCODINGS.items() if layout.sample_bytes == 2]
BAYER = [name for name in ENCODINGS if name.startswith("bayer")]
# BT.601, Y Cb Cr in the limited range, worked out with pencil and paper: R = 1.164 (Y - 16) + 1.596 (Cr - 128),
# G = 1.164 (Y - 16) - 0.813 (Cr - 128) - 0.392 (Cb - 128), B = 1.164 (Y - 16) + 2.017 (Cb - 128).
BY_HAND = [
    ((16, 128, 128), (0, 0, 0)),
    ((235, 128, 128), (255, 255, 255)),
    ((126, 128, 128), (128, 128, 128)),
    ((81, 90, 240), (254, 0, 0)),
    ((145, 54, 34), (0, 255, 1)),
    ((41, 240, 110), (0, 0, 255)),
    ((100, 100, 160), (149, 83, 41)),
]


def test_golden_images_are_bit_equal_with_cv_bridge(data_folder: Path) -> None:
    pairs = golden_messages(data_folder)
    assert len(pairs) == 33
    for k, (message, expected_HW3) in enumerate(pairs):
        np.testing.assert_array_equal(decode_image(message), expected_HW3, err_msg=f"message {k}")


@given(
    encoding=st.sampled_from([name for name in CHANNELS if name not in WIDE]),
    width=st.integers(1, 9),
    height=st.integers(1, 9),
    padding=st.integers(0, 5),
    seed=st.integers(0, 2**32 - 1),
)
@settings(deadline=None)
def test_n03_any_size_and_padding(encoding: str, width: int, height: int, padding: int, seed: int) -> None:
    """The rows' padding never shows, and every pixel is the one that was written, channel by channel."""
    random = np.random.default_rng(seed)
    letters = CHANNELS[encoding]
    pixels_HWC = random.integers(0, 256, (height, width, len(letters)), np.uint8)
    expected_HW3 = pixels_HWC[..., [letters.index("y" if letters == "y" else letter) for letter in "rgb"]]
    step = (width + padding) * len(letters)
    rows = random.integers(0, 256, (height, step), np.uint8)
    rows[:, : pixels_HWC[0].size] = pixels_HWC.reshape(height, -1)
    decoded_HW3 = decode_image(raw(encoding, width, height, step, rows.tobytes()))
    np.testing.assert_array_equal(decoded_HW3, expected_HW3)
    assert decoded_HW3.dtype == np.uint8 and decoded_HW3.flags.c_contiguous


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_n03_padding_and_byte_order_do_not_show(encoding: str) -> None:
    """In every encoding, planes and 16 bits included."""
    image_HW3 = np.random.default_rng(3).integers(0, 256, (6, 8, 3), np.uint8)
    plain_HW3 = decode_image(message_of(encoding, image_HW3))
    assert plain_HW3.shape == (6, 8, 3) and plain_HW3.dtype == np.uint8 and plain_HW3.flags.c_contiguous
    for padding, is_bigendian in ((4, 0), (0, 1), (4, 1), (4, 255)):
        message = message_of(encoding, image_HW3, padding, is_bigendian)
        np.testing.assert_array_equal(decode_image(message), plain_HW3)


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_uniform_image_comes_back_in_every_encoding(encoding: str) -> None:
    """Three channels that differ show swapped ones, a mosaic read at the wrong corner, and swapped colour planes."""
    image_HW3 = np.full((6, 8, 3), (200, 120, 40), np.uint8)
    expected_HW3 = np.full_like(image_HW3, 135) if encoding in GREY_ENCODINGS else image_HW3
    # Y, Cb and Cr are rounded before they are sent.
    tolerance = 2 if encoding in {*PAIRS, "nv21", "nv24"} else 0
    np.testing.assert_allclose(decode_image(message_of(encoding, image_HW3)), expected_HW3, rtol=0, atol=tolerance)


def test_n07_bigendian_mono16() -> None:
    """Values by hand: 0x1234 is 4660, and 4660 * 255 / 65535 is 18.1."""
    words = bytes.fromhex("0000 1234 7fff 8000 ffff 0080")
    assert decode_image(raw("mono16", 6, 1, data=words, is_bigendian=1))[0, :, 0].tolist() == [0, 18, 127, 128, 255, 0]
    swapped = decode_image(raw("mono16", 6, 1, data=words, is_bigendian=0))[0, :, 0].tolist()
    assert swapped == [0, 52, 255, 0, 255, 128], "0x3412 is 13330, which gives 51.9"


@pytest.mark.parametrize("encoding", ["mono16", "rgb16", "bgr16"])
@pytest.mark.parametrize("is_bigendian", [0, 1])
def test_n07_every_sixteen_bit_value_is_scaled_and_rounded(encoding: str, is_bigendian: int) -> None:
    words_HW = np.arange(65536).reshape(256, 256)
    pixels = np.repeat(words_HW.astype(">u2" if is_bigendian else "<u2")[..., None], len(CHANNELS[encoding]), axis=-1)
    decoded_HW3 = decode_image(raw(encoding, 256, 256, data=pixels.tobytes(), is_bigendian=is_bigendian))
    # value * 255 / 65535 is value / 257, whose rounding has no tie.
    np.testing.assert_array_equal(decoded_HW3, np.repeat(((words_HW + 128) // 257)[..., None], 3, axis=-1))


@pytest.mark.parametrize(("ycc", "rgb"), BY_HAND)
def test_yuv_by_hand(ycc: tuple[int, int, int], rgb: tuple[int, int, int]) -> None:
    y, u, v = ycc
    messages = {
        **{name: raw(name, 2, 2, data=bytes([u, y, v, y] * 2)) for name in ("yuv422", "uyvy")},
        **{name: raw(name, 2, 2, data=bytes([y, u, y, v] * 2)) for name in ("yuv422_yuy2", "yuyv")},
        "nv21": raw("nv21", 2, 2, data=bytes([y] * 4 + [v, u])),
        "nv24": raw("nv24", 2, 2, data=bytes([y] * 4 + [u, v] * 4)),
    }
    for encoding, message in messages.items():
        decoded_HW3 = decode_image(message)
        np.testing.assert_allclose(decoded_HW3, np.broadcast_to(rgb, (2, 2, 3)), rtol=0, atol=1, err_msg=encoding)


def test_a_pair_of_pixels_shares_its_colour_and_keeps_its_own_luma() -> None:
    for encoding, data in (("uyvy", [128, 16, 128, 235]), ("yuyv", [16, 128, 235, 128])):
        assert decode_image(raw(encoding, 2, 1, data=bytes(data)))[0].tolist() == [[0] * 3, [255] * 3], encoding


def test_nv24_has_a_colour_for_every_pixel() -> None:
    """Bit-equal with the 4:2:2 reading of an image whose pairs are alike."""
    random = np.random.default_rng(4)
    y_HW, uv_HW2 = random.integers(0, 256, (4, 6), np.uint8), random.integers(0, 256, (4, 6, 2), np.uint8)
    decoded_HW3 = decode_image(raw("nv24", 6, 4, data=y_HW.tobytes() + uv_HW2.tobytes()))
    for row, column in np.ndindex(4, 6):
        u, v = uv_HW2[row, column]
        pair = bytes([u, y_HW[row, column], v, y_HW[row, column]])
        assert decoded_HW3[row, column].tolist() == decode_image(raw("uyvy", 2, 1, data=pair))[0, 0].tolist()


@pytest.mark.parametrize("encoding", BAYER)
def test_bayer_by_hand(encoding: str) -> None:
    """A grey ramp along the columns: a pixel stays itself, and the mean of its neighbours is its own value."""
    ramp = np.array([10, 20, 30, 40, 50, 60], np.uint8)
    image_HW3 = np.repeat(np.tile(ramp, (6, 1))[..., None], 3, axis=-1)
    decoded_HW3 = decode_image(message_of(encoding, image_HW3))
    np.testing.assert_array_equal(decoded_HW3[1:-1, 1:-1], image_HW3[1:-1, 1:-1])


def test_n01_truncated_data() -> None:
    assert refusal(raw(data=bytes(4 * 3 * 3 - 1))) == "bad_size"
    assert refusal(raw(data=b"")) == "bad_size"


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_n01_one_byte_too_few_in_every_encoding(encoding: str) -> None:
    message = message_of(encoding, np.zeros((4, 4, 3), np.uint8))
    assert decode_image(message).shape == (4, 4, 3)
    message.data = message.data[:-1]
    assert refusal(message) == "bad_size"


@pytest.mark.parametrize("step", [0, 1, 11, 13, 14])
def test_n02_bad_step(step: int) -> None:
    assert refusal(raw(width=4, step=step, data=bytes(1000))) == "bad_step"


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_n02_a_row_that_is_too_short_or_ends_within_a_pixel(encoding: str) -> None:
    pixel = ENCODINGS[encoding].pixel_bytes
    within = [4 * pixel + 1] if pixel > 1 else []
    for step in [0, 4 * pixel - 1, *within]:
        assert refusal(raw(encoding, 4, 4, step, data=bytes(1000))) == "bad_step", step


@pytest.mark.parametrize("size", [(0, 3), (4, 0), (0, 0), (65535, 65535), (MAX_PIXELS + 1, 1), (2**32 - 1, 2**32 - 1)])
def test_n04_bad_dims(size: tuple[int, int]) -> None:
    width, height = size
    assert refusal(raw(width=width, height=height, step=12, data=bytes(36))) == "bad_dims"


@pytest.mark.parametrize("size", [(20_000, 1), (1, 20_000), (201, 2)])
def test_n04_a_thin_strip_would_be_blown_up_by_the_resize(size: tuple[int, int]) -> None:
    width, height = size
    assert refusal(raw("mono8", width, height)) == "bad_dims"
    assert decode_image(raw("mono8", 200, 2)).shape == (2, 200, 3)


@pytest.mark.parametrize(
    ("encoding", "width", "height"),
    [*((name, 5, 4) for name in [*PAIRS, "nv21"]), ("nv21", 4, 5), *((name, 2, 4) for name in BAYER)],
)
def test_n04_sides_that_an_encoding_cannot_have(encoding: str, width: int, height: int) -> None:
    """OpenCV raises for odd sides and makes black of a mosaic without an inner pixel."""
    assert refusal(raw(encoding, width, height, data=bytes(1000))) == "bad_dims"


def test_n04_odd_sides_of_other_encodings_are_legal() -> None:
    for encoding in set(ENCODINGS) - {*PAIRS, "nv21"}:
        assert decode_image(raw(encoding, 5, 3)).shape == (3, 5, 3), encoding


@pytest.mark.parametrize("encoding", ["foo8", "32FC1", "16UC1", "h264", "", "RGB8", "rgb8 ", "8UC2", "nv12"])
def test_n05_unknown_encoding_names_the_supported_ones(encoding: str) -> None:
    message = raw()
    message.encoding = encoding
    with pytest.raises(DecodeError, match="rgb8, bgr8, rgba8, bgra8, mono8, .*nv24") as caught:
        decode_image(message)
    assert caught.value.reason == "bad_encoding"

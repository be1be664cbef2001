"""What `format` says of compressed pixels, read as image_transport's subscriber does: mosaics, channels, depth.

The formats are those of its publishers: of ROS 1 and Foxy (nothing behind a mosaic's `compressed`), of Jazzy (`mono8`,
with `jpeg_compress_bayer` the mosaic's own name), and `rgb8` from programs that compress RGB as it is.
"""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from image_messages import NOISE, compressed, encoded, message_of, refusal, samples_of

from transposenet_ros.decoding.encodings import BAYER
from transposenet_ros.decoding.image_decoding import decode_image

SMOOTH = cv2.resize(NOISE, (64, 48), interpolation=cv2.INTER_CUBIC)
EXACT = [cv2.IMWRITE_JPEG_QUALITY, 100, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, 0x111111]


@pytest.mark.parametrize("pattern", BAYER)
@pytest.mark.parametrize("behind", ["", "bayer_{}8", "mono8"])
def test_n06_n08_a_compressed_mosaic_gives_the_image_of_the_raw_one(pattern: str, behind: str) -> None:
    name, behind = f"bayer_{pattern}8", behind.format(pattern)
    expected_HW3, mosaic_HW = decode_image(message_of(name, SMOOTH)), samples_of(name, SMOOTH)
    png = compressed(encoded(".png", mosaic_HW), f"{name}; png compressed {behind}")
    np.testing.assert_array_equal(decode_image(png), expected_HW3)
    jpeg = compressed(encoded(".jpg", mosaic_HW, *EXACT), f"{name}; jpeg compressed {behind}")
    np.testing.assert_allclose(decode_image(jpeg).astype(int), expected_HW3, atol=4)


def test_n06_n08_a_mosaic_of_16_bits_gives_the_image_of_one_of_8() -> None:
    png = compressed(encoded(".png", samples_of("bayer_gbrg16", SMOOTH)), "bayer_gbrg16; png compressed ")
    np.testing.assert_array_equal(decode_image(png), decode_image(message_of("bayer_gbrg8", SMOOTH)))


def test_n08_a_mosaic_that_was_interpolated_before_is_an_image() -> None:
    data = encoded(".png", SMOOTH[..., ::-1])
    np.testing.assert_array_equal(decode_image(compressed(data, "bayer_rggb8; png compressed bgr8")), SMOOTH)


@pytest.mark.parametrize("source", ["rgb8", "bgr8", "rgba8", "bgra8"])
def test_n08_channels_are_exchanged_where_rgb_was_compressed_as_bgr(source: str) -> None:
    stored_as_ever, exchanged = encoded(".png", SMOOTH[..., ::-1]), encoded(".png", SMOOTH)
    for data, behind in ((stored_as_ever, "bgr8"), (stored_as_ever, "bgra8"), (exchanged, "rgb8"), (exchanged, "")):
        message = compressed(data, f"{source}; png compressed {behind}")
        np.testing.assert_array_equal(decode_image(message), SMOOTH, err_msg=message.format)


@pytest.mark.parametrize("format", ["rgb8", "jpeg", "mono8; jpeg compressed mono8", "8UC3; png compressed ", "yuv422;"])
def test_n08_other_formats_leave_the_colours_as_they_are_stored(format: str) -> None:
    np.testing.assert_array_equal(decode_image(compressed(encoded(".png", SMOOTH[..., ::-1]), format)), SMOOTH)


@pytest.mark.parametrize(
    "format",
    ["16UC1; png compressed ", "16UC1", "16UC1; compressedDepth", "png; compressedDepth", "8UC2; png compressed "],
)
def test_n05_depth_is_no_image_though_its_bytes_are_a_png(format: str) -> None:
    depth_HW = np.arange(48 * 64, dtype=np.uint16).reshape(48, 64)
    assert refusal(compressed(encoded(".png", depth_HW), format)) == "bad_encoding"


def test_n04_a_mosaic_without_inner_pixels_is_refused() -> None:
    assert refusal(compressed(encoded(".png", NOISE[:2, :8, 0]), "bayer_rggb8; png compressed ")) == "bad_dims"

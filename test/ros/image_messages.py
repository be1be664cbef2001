"""Images as messages, and every encoding as its own inverse: RGB in, the rows of a message out."""

from __future__ import annotations

import array
import struct
import zlib

import cv2
import numpy as np
import pytest
from sensor_msgs.msg import CompressedImage, Image

from transposenet_ros.decoding.image_decoding import ENCODINGS, DecodeError, decode_image

NOISE = np.random.default_rng(0).integers(0, 256, (12, 16, 3), np.uint8)
# The encodings whose pixels are whole, by what their samples mean; y is grey, a is opacity.
CHANNELS = {
    name: letters
    for letters, names in {
        "rgb": ("rgb8", "rgb16"),
        "bgr": ("bgr8", "bgr16", "8UC3"),
        "rgba": ("rgba8",),
        "bgra": ("bgra8", "8UC4"),
        "y": ("mono8", "mono16", "8UC1"),
    }.items()
    for name in names
}
GREY_ENCODINGS = [name for name, letters in CHANNELS.items() if letters == "y"]
# A pixel pair of the 4:2:2 encodings, byte by byte: y is the left pixel's, Y the right one's.
PAIRS = {"yuv422": "uyvY", "uyvy": "uyvY", "yuv422_yuy2": "yuYv", "yuyv": "yuYv"}


def raw(
    encoding: str = "rgb8",
    width: int = 4,
    height: int = 3,
    step: int | None = None,
    data: bytes | None = None,
    is_bigendian: int = 0,
) -> Image:
    layout = ENCODINGS[encoding]
    step = width * layout.pixel_bytes if step is None else step
    data = bytes(step * layout.rows(height)) if data is None else data
    fields = {"width": width, "height": height, "step": step, "is_bigendian": is_bigendian}
    return Image(encoding=encoding, data=array.array("B", data), **fields)


def compressed(data: bytes, format: str = "jpeg") -> CompressedImage:
    return CompressedImage(format=format, data=array.array("B", data))


def encoded(extension: str, image: np.ndarray = NOISE, *flags: int) -> bytes:
    """A BGR or grey image as the bytes of a file."""
    return cv2.imencode(extension, image, list(flags))[1].tobytes()


def refusal(message: Image | CompressedImage) -> str:
    with pytest.raises(DecodeError) as caught:
        decode_image(message)
    assert str(caught.value), "a refusal says what was found"
    return caught.value.reason


def ycbcr(image_HW3: np.ndarray) -> np.ndarray:
    """Y, Cb, Cr (H, W, 3) of ITU-R BT.601 in its limited range (Y 16 to 235), as cameras send it."""
    r, g, b = np.moveaxis(image_HW3.astype(float) / 255, -1, 0)
    luma = 0.299 * r + 0.587 * g + 0.114 * b
    planes = [16 + 219 * luma, 128 + 224 * (b - luma) / 1.772, 128 + 224 * (r - luma) / 1.402]
    return np.rint(np.stack(planes, axis=-1)).astype(np.uint8)


def samples_of(encoding: str, image_HW3: np.ndarray) -> np.ndarray:
    """The rows (R, S) of samples that a camera with this encoding sends of an RGB image with even sides."""
    height, width = image_HW3.shape[:2]
    wide = ENCODINGS[encoding].sample_bytes == 2
    image_HW3 = image_HW3.astype(np.uint16) * 257 if wide else image_HW3
    if letters := CHANNELS.get(encoding):
        grey_HW = np.rint(image_HW3 @ [0.299, 0.587, 0.114]).astype(image_HW3.dtype)
        opaque_HW = np.full_like(grey_HW, np.iinfo(image_HW3.dtype).max)
        planes = dict(zip("rgb", np.moveaxis(image_HW3, -1, 0), strict=True)) | {"y": grey_HW, "a": opaque_HW}
        return np.stack([planes[letter] for letter in letters], axis=-1).reshape(height, -1)
    if encoding.startswith("bayer"):
        mosaic_HW = np.empty((height, width), image_HW3.dtype)
        for k, letter in enumerate(encoding[6:10]):
            mosaic_HW[k // 2 :: 2, k % 2 :: 2] = image_HW3[k // 2 :: 2, k % 2 :: 2, "rgb".index(letter)]
        return mosaic_HW
    luma_HW, cb_HW, cr_HW = np.moveaxis(ycbcr(image_HW3), -1, 0)
    if pair := PAIRS.get(encoding):
        planes = {"y": luma_HW[:, ::2], "Y": luma_HW[:, 1::2], "u": cb_HW[:, ::2], "v": cr_HW[:, ::2]}
        return np.stack([planes[letter] for letter in pair], axis=-1).reshape(height, -1)
    if encoding == "nv21":
        colour_HW = np.stack([cr_HW[::2, ::2], cb_HW[::2, ::2]], axis=-1).reshape(height // 2, width)
    else:
        assert encoding == "nv24"
        colour_HW = np.stack([cb_HW, cr_HW], axis=-1).reshape(2 * height, width)
    return np.concatenate([luma_HW, colour_HW])


def message_of(encoding: str, image_HW3: np.ndarray, padding: int = 0, is_bigendian: int = 0) -> Image:
    """An RGB image with even sides in an encoding, with `padding` pixels of rubbish behind every row."""
    height, width = image_HW3.shape[:2]
    samples_RS = samples_of(encoding, image_HW3)
    rows = samples_RS.astype(samples_RS.dtype.newbyteorder(">" if is_bigendian else "<")).view(np.uint8)
    step = (width + padding) * ENCODINGS[encoding].pixel_bytes
    # The colours of nv24 have rows of their own length, twice that of the luma's.
    planes = [rows[:height], rows[height:].reshape(height, -1)] if encoding == "nv24" else [rows]
    padded = [pad_rows(plane, step * plane.shape[1] // rows.shape[1]) for plane in planes]
    return raw(encoding, width, height, step, b"".join(padded), is_bigendian)


def pad_rows(rows: np.ndarray, step: int) -> bytes:
    return np.pad(rows, ((0, 0), (0, step - rows.shape[1])), constant_values=0xA5).tobytes()


def png_chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

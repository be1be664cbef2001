"""Random sensor_msgs images that are nearly valid: hypothesis strategies of the fuzz test and of decode_fuzz.py.

A message starts valid; then up to three of its fields, or up to four places of its compressed bytes, are corrupted.
"""

from __future__ import annotations

import array

import cv2
import numpy as np
from hypothesis import strategies as st
from sensor_msgs.msg import CompressedImage, Image

from transposenet_ros.decoding.image_decoding import ENCODINGS

UINT32 = st.one_of(st.integers(0, 70), st.sampled_from([255, 4095, 65535, 2**31, 2**32 - 1]), st.integers(0, 2**32 - 1))
WRONG = {
    "width": UINT32,
    "height": UINT32,
    "step": UINT32,
    "encoding": st.one_of(
        st.sampled_from([*ENCODINGS, "foo8", "16UC1", "32FC1", "8UC2", "h264", "RGB8", ""]), st.text(max_size=8)
    ),
    "is_bigendian": st.integers(0, 255),
}
FORMATS = st.one_of(
    st.sampled_from(
        [
            *("jpeg", "png", "", "bgr8; jpeg compressed bgr8", "16UC1; compressedDepth png", "h264"),
            *("bayer_rggb8; jpeg compressed ", "rgb8; jpeg compressed rgb8", "16UC1; png compressed "),
        ]
    ),
    st.text(max_size=8),
)
RUBBISH = np.random.default_rng(0).integers(0, 256, 200_000, np.uint8).tobytes()


def _files() -> list[bytes]:
    """Small JPEGs and PNGs of every kind that cameras and recordings produce."""
    random = np.random.default_rng(1)
    coarse_HW3 = random.integers(0, 256, (6, 8, 3), np.uint8)
    image_HW3 = cv2.resize(coarse_HW3, (48, 32), interpolation=cv2.INTER_CUBIC)
    deep_HW3 = image_HW3.astype(np.uint16) * 257
    sampling = cv2.IMWRITE_JPEG_SAMPLING_FACTOR
    kinds = [
        *((".jpg", image_HW3, [sampling, factor]) for factor in (0x221111, 0x211111, 0x111111)),
        (".jpg", image_HW3, [cv2.IMWRITE_JPEG_RST_INTERVAL, 2]),
        (".jpg", image_HW3, [cv2.IMWRITE_JPEG_PROGRESSIVE, 1]),
        (".jpg", image_HW3[..., 0], []),
        (".jpg", np.full_like(image_HW3, 128), []),
        *((".png", image, []) for image in (image_HW3, image_HW3[..., 0], deep_HW3, deep_HW3[..., 0])),
        (".png", np.dstack([image_HW3, image_HW3[..., :1]]), []),
        (".png", image_HW3[..., 0] // 128 * 255, [cv2.IMWRITE_PNG_BILEVEL, 1]),
    ]
    return [cv2.imencode(extension, image, flags)[1].tobytes() for extension, image, flags in kinds]


FILES = _files()


@st.composite
def raw_messages(draw: st.DrawFn) -> Image:
    """sensor_msgs/Image of any encoding and odd fields; at most 200 kB of data."""
    encoding = draw(st.sampled_from(list(ENCODINGS)))
    layout = ENCODINGS[encoding]
    width, height, padding = draw(st.integers(1, 48)), draw(st.integers(1, 48)), draw(st.integers(0, 4))
    if draw(st.booleans()):
        width, height = 2 * width, 2 * height
    step = (width + padding) * layout.pixel_bytes
    size = layout.rows(height) * step
    fields = {"encoding": encoding, "width": width, "height": height, "step": step, "is_bigendian": 0}
    for name in draw(st.lists(st.sampled_from([*WRONG, "size"]), max_size=3, unique=True)):
        if name == "size":
            size = max(0, size + draw(st.one_of(st.integers(-3, 3), st.integers(-size, 1000))))
        else:
            fields[name] = draw(WRONG[name])
    return Image(data=array.array("B", RUBBISH[:size]), **fields)


@st.composite
def compressed_messages(draw: st.DrawFn) -> CompressedImage:
    """sensor_msgs/CompressedImage whose bytes were cut, changed, lost, added, repeated or mixed with another file's."""
    data = draw(st.sampled_from(FILES))
    for _ in range(draw(st.integers(0, 4))):
        at, length = draw(st.integers(0, len(data))), draw(st.integers(0, 40))
        change = draw(st.sampled_from(["cut", "byte", "word", "lose", "insert", "repeat", "mix"]))
        if change == "cut":
            data = data[:at]
        elif change == "byte":
            data = data[:at] + draw(st.binary(min_size=1, max_size=1)) + data[at + 1 :]
        elif change == "word":
            data = data[:at] + draw(st.sampled_from([b"\0\0", b"\xff\xff", b"\xff\xd9", b"\xff\xda"])) + data[at + 2 :]
        elif change == "lose":
            data = data[:at] + data[at + length :]
        elif change == "insert":
            data = data[:at] + RUBBISH[at : at + length] + data[at:]
        elif change == "repeat":
            data = data[: at + length] + data[at:]
        else:
            data = data[:at] + draw(st.sampled_from(FILES))[at:]
    return CompressedImage(format=draw(FORMATS), data=array.array("B", data))


messages = st.one_of(raw_messages(), compressed_messages())

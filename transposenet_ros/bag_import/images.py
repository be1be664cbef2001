"""An image of a message as the file of a data set: lossless, and the original bytes where nothing changes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from transposenet_core.encoded_images.png_stream import PNG_START
from transposenet_ros.bags.topics import IMAGE_TYPES
from transposenet_ros.decoding.compressed import decode_compressed
from transposenet_ros.decoding.compressed_format import read_format
from transposenet_ros.decoding.gate import admit
from transposenet_ros.decoding.image_decoding import convert

Correct = Callable[[np.ndarray], np.ndarray]


def decoded(message: Any, kind: str) -> np.ndarray:
    """(H, W, 3) uint8 RGB of a deserialised image of type `kind`, as the node would see it. Raises DecodeError."""
    if IMAGE_TYPES[kind] == "compressed":
        return decode_compressed(message)
    return convert(message, admit(message))


def image_file(message: Any, kind: str, image_HW3: np.ndarray, correct: Correct | None) -> tuple[str, Any]:
    """The suffix of an image's file, and the original bytes or the corrected image (H, W, 3) uint8 RGB."""
    if correct is not None:
        return ".png", correct(image_HW3)
    if IMAGE_TYPES[kind] == "raw" or not read_format(message.format).as_stored:
        return ".png", image_HW3
    data = bytes(memoryview(message.data).cast("B"))
    return (".png" if data.startswith(PNG_START) else ".jpg"), data

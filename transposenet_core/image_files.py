"""Images from files and from encoded bytes, always as RGB."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np

from transposenet_core.errors import UserError

# The network's image is as wide as this one is for its height: a row of 20 000 pixels would become 4 GB.
MAX_SIDE_RATIO = 100
# What a configuration or a scene model may ask for: sides in pixels, windows of an image (PoseNet: 128).
MOST_SIDE, MOST_CROPS = 4096, 1024


def decode_image_bytes(data: bytes | np.ndarray) -> np.ndarray | None:
    """JPEG or PNG bytes to (H, W, 3) uint8 RGB, or None where OpenCV cannot decode them.

    Orientation tags are ignored: a pose belongs to the sensor's pixels, not to how a viewer would turn them.
    """
    import cv2  # only where an image is decoded: a command's help needs the formats and no OpenCV

    buffer = np.frombuffer(data, np.uint8)
    if buffer.size == 0:
        return None
    image_HW3 = cv2.imdecode(buffer, cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    return None if image_HW3 is None else cv2.cvtColor(image_HW3, cv2.COLOR_BGR2RGB)


def check_sides(width: int, height: int, what: str = "an image") -> None:
    """UserError for a strip beyond MAX_SIDE_RATIO, which resizing to a window would blow up."""
    if max(height, width) > MAX_SIDE_RATIO * min(height, width):
        raise UserError(
            f"{what} of {width}x{height} pixels is a strip, sides up to {MAX_SIDE_RATIO}:1 are taken; leave it out"
        )


def read_image(path: str | Path) -> np.ndarray:
    """An image file as (H, W, 3) uint8 RGB. UserError where it is missing, is no image, or one that `check_sides`
    refuses."""
    path = Path(path)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path}: the image cannot be read ({error.strerror}); check the path and its rights") from None
    image_HW3 = decode_image_bytes(data)
    if image_HW3 is None:
        raise UserError(
            f"{path}: {len(data)} bytes that are no image; JPEG and PNG are read: copy the file again or leave it out"
        )
    check_sides(image_HW3.shape[1], image_HW3.shape[0], f"{path}: an image")
    return image_HW3


def image_size(paths: Sequence[str | Path]) -> tuple[int, int]:
    """Width and height of the first image that can be read: one damaged file does not hide a camera.

    UserError where none can.
    """
    for path in paths:
        with suppress(UserError):
            height, width = read_image(path).shape[:2]
            return width, height
    raise UserError(f"{paths[0]}: none of {len(paths)} images can be read; JPEG and PNG are: copy them again")


def find_image(path: Path) -> Path | None:
    """The image at `path`, or the same frame in the other format: lists of images outlive conversions to JPEG."""
    other = path.with_suffix(".png" if path.suffix == ".jpg" else ".jpg")
    return next((candidate for candidate in (path, other) if is_file(candidate)), None)


def is_file(path: Path) -> bool:
    """Path.is_file, and false for a name that no file system has: labels are files of others."""
    try:
        return path.is_file()
    except OSError:  # a name that is too long
        return False

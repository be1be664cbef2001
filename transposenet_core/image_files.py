"""Pictures from files and from encoded bytes, always as RGB."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np

from transposenet_core.errors import UserError

# The network's picture is as wide as this one is for its height: a row of 20 000 pixels would become 4 GB.
MAX_SIDE_RATIO = 100


def decode_picture(data: bytes | np.ndarray) -> np.ndarray | None:
    """JPEG or PNG bytes to (H, W, 3) uint8 RGB, or None where OpenCV cannot decode them.

    Orientation tags are ignored: a pose belongs to the sensor's pixels, not to how a viewer would turn them.
    """
    import cv2  # only where a picture is decoded: a command's help needs the formats and no OpenCV

    buffer = np.frombuffer(data, np.uint8)
    if buffer.size == 0:
        return None
    image_HW3 = cv2.imdecode(buffer, cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    return None if image_HW3 is None else cv2.cvtColor(image_HW3, cv2.COLOR_BGR2RGB)


def check_sides(width: int, height: int, what: str = "a picture") -> None:
    """UserError for a strip beyond MAX_SIDE_RATIO, which resizing to a window would blow up."""
    if max(height, width) > MAX_SIDE_RATIO * min(height, width):
        raise UserError(
            f"{what} of {width}x{height} pixels is a strip, sides up to {MAX_SIDE_RATIO}:1 are taken; leave it out"
        )


def read_image(path: str | Path) -> np.ndarray:
    """A picture file as (H, W, 3) uint8 RGB. UserError where it is missing, is no picture, or one that `check_sides`
    refuses."""
    path = Path(path)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UserError(
            f"{path}: the picture cannot be read ({error.strerror}); check the path and its rights"
        ) from None
    image_HW3 = decode_picture(data)
    if image_HW3 is None:
        raise UserError(
            f"{path}: {len(data)} bytes that are no picture; JPEG and PNG are read: copy the file again or leave it out"
        )
    check_sides(image_HW3.shape[1], image_HW3.shape[0], f"{path}: a picture")
    return image_HW3


def picture_size(paths: Sequence[str | Path]) -> tuple[int, int]:
    """Width and height of the first picture that can be read: one damaged file does not hide a camera.

    UserError where none can.
    """
    for path in paths:
        with suppress(UserError):
            height, width = read_image(path).shape[:2]
            return width, height
    raise UserError(f"{paths[0]}: none of {len(paths)} pictures can be read; JPEG and PNG are: copy them again")


def find_picture(path: Path) -> Path | None:
    """The picture at `path`, or the same frame in the other format: lists of pictures outlive conversions to JPEG."""
    other = path.with_suffix(".png" if path.suffix == ".jpg" else ".jpg")
    return next((candidate for candidate in (path, other) if is_file(candidate)), None)


def is_file(path: Path) -> bool:
    """Path.is_file, and false for a name that no file system has: labels are files of others."""
    try:
        return path.is_file()
    except OSError:  # a name that is too long
        return False

"""Pictures from files and from encoded bytes, always as RGB."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np

from transposenet_core.errors import UserError


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


def read_image(path: str | Path) -> np.ndarray:
    """A picture file as (H, W, 3) uint8 RGB. UserError where it is missing or is no picture."""
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

"""Images from files and from encoded bytes, always as RGB."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np

from transposenet_core.encoded_images.decoding import MAX_SIDE_RATIO, decode_image
from transposenet_core.encoded_images.errors import ImageDataError
from transposenet_core.errors import UserError


def check_sides(width: int, height: int, what: str = "an image") -> None:
    """UserError for a strip beyond MAX_SIDE_RATIO, which resizing to a window would make huge."""
    if max(height, width) > MAX_SIDE_RATIO * min(height, width):
        raise UserError(
            f"{what} of {width}x{height} pixels is a strip; up to {MAX_SIDE_RATIO}:1 is allowed: leave it out"
        )


def read_image(path: str | Path) -> np.ndarray:
    """An image file as (H, W, 3) uint8 RGB. UserError where it is missing, or one that `decode_image` refuses."""
    path = Path(path)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UserError(
            f"{path}: the image cannot be read ({error.strerror}); check the path and its permissions"
        ) from None
    try:
        return decode_image(data)
    except ImageDataError as error:
        raise UserError(f"{path}: {error}; allowed are whole JPEG and PNG files: {error.advice}") from None


def image_size(paths: Sequence[str | Path]) -> tuple[int, int]:
    """Width and height of the first image that can be read: one damaged file does not hide a camera.

    UserError where none can.
    """
    for path in paths:
        with suppress(UserError):
            height, width = read_image(path).shape[:2]
            return width, height
    raise UserError(f"{paths[0]}: none of {len(paths)} images can be read; allowed are JPEG and PNG: copy them again")


def find_image(path: Path) -> Path | None:
    """The image at `path`, or the same frame in the other format: lists of images outlive conversions to JPEG."""
    other = path.with_suffix(".png" if path.suffix == ".jpg" else ".jpg")
    return next((candidate for candidate in (path, other) if is_file(candidate)), None)


def is_file(path: Path) -> bool:
    """Path.is_file, and false for a name that no file system has: labels come from others."""
    try:
        return path.is_file()
    except OSError:  # a name that is too long
        return False

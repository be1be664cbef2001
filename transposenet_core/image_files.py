"""Images from files and from encoded bytes, always as RGB."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path, PurePosixPath

import numpy as np

from transposenet_core.encoded_images.decoding import MAX_SIDE_RATIO, decode_image, is_strip, read_stream
from transposenet_core.encoded_images.errors import ImageDataError
from transposenet_core.errors import UserError

SAMPLE = 16  # images that show how large the images of a scene are
IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg")
SPELLINGS = tuple(f".{spelt(s[1:])}" for spelt in (str.lower, str.upper, str.title) for s in IMAGE_SUFFIXES)
SUFFIX = re.compile(r"\.(png|jpe?g)$", re.IGNORECASE)


def check_sides(width: int, height: int, what: str = "an image") -> None:
    """UserError for a strip beyond MAX_SIDE_RATIO, which resizing to a window would make huge."""
    if is_strip(width, height):
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
    """Width and height of the images: as `usual_size`, else of the first one that can be read.

    UserError where none can.
    """
    if (size := usual_size(paths)) is not None:
        return size
    for path in paths:
        with suppress(UserError):
            height, width = read_image(path).shape[:2]
            return width, height
    raise UserError(f"{paths[0]}: none of {len(paths)} images can be read; allowed are JPEG and PNG: copy them again")


def usual_size(paths: Sequence[str | Path]) -> tuple[int, int] | None:
    """Width and height that most of a sample of images have: neither a damaged nor a rotated one hides the camera.

    None where no image of the sample can be read.
    """
    sample = paths[:: -(-len(paths) // SAMPLE) or 1]
    sizes = Counter(size for path in sample if (size := stored_size(path)) is not None)
    return sizes.most_common(1)[0][0] if sizes else None


def stored_size(path: str | Path) -> tuple[int, int] | None:
    """Width and height of an image file by its structure, without decoding; None for one that `read_stream` refuses."""
    with suppress(OSError, ImageDataError):
        stream = read_stream(Path(path).read_bytes())
        return stream.width, stream.height
    return None


def posix_name(text: str) -> str:
    """An image's name as a file has it, in normal form: programs on Windows write it with backslashes."""
    return str(PurePosixPath(text.strip().replace("\\", "/"))) if text.strip() else ""


def image_stem(name: str) -> str:
    """A name without the suffix of an image; any other dot is part of it (rgb/1305031102.175304)."""
    return SUFFIX.sub("", name)


def image_suffix(name: str) -> str:
    """What `image_stem` takes away: .png, .jpg or .jpeg, in any case, or nothing."""
    return name[len(image_stem(name)) :]


def find_image(path: Path) -> Path | None:
    """The image at `path`, or the same frame under another suffix or case of it: lists of images outlive conversions.

    Of several the one of the same kind (.jpg, .JPG and .jpeg are one) comes first.
    """
    if is_file(path):
        return path
    kind = image_suffix(path.name)[1:2].lower()
    spellings = sorted(SPELLINGS, key=lambda suffix: suffix[1].lower() != kind)
    others = (path.parent / f"{image_stem(path.name)}{suffix}" for suffix in spellings)
    return next((other for other in others if is_file(other)), None)


def is_file(path: Path) -> bool:
    """Path.is_file, and false for a name that no file system has: labels come from others."""
    try:
        return path.is_file()
    except OSError:  # a name that is too long
        return False

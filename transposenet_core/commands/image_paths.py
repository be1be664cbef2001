"""Images named on a command line: files, and folders of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from transposenet_core.errors import UserError


def images_of(places: Sequence[Path], option: str) -> list[Path]:
    """The files named, and all images in the folders named except depth. UserError where there are none."""
    from transposenet_core.image_files import IMAGE_SUFFIXES  # with NumPy, for which a command's help does not wait

    found = []
    for place in places:
        inside = [place]
        if place.is_dir():
            inside = sorted(path for path in place.iterdir() if path.suffix.lower() in IMAGE_SUFFIXES)
        found += [path for path in inside if ".depth." not in path.name]
    if not found:
        raise UserError(f"{option} {places[0]}: no image there; name files or folders of {', '.join(IMAGE_SUFFIXES)}")
    return found

"""COLMAP's text models, cleaned for pycolmap: it reads spaces and LF alone, and names only up to their first space."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

from transposenet_core.text_files import open_text, words

COLUMNS_BEFORE_NAME = 9  # IMAGE_ID QW QX QY QZ TX TY TZ CAMERA_ID


def write_clean_model(folder: Path, out: Path) -> None:
    """The text model in `folder`, without its points, in `out`; names are quoted as in a URL.

    Raises OSError or UnicodeDecodeError.
    """
    for path in folder.glob("*.txt"):
        with open_text(path) as file, open(out / path.name, "w", encoding="utf-8") as clean:
            if path.name == "images.txt":
                clean.writelines(_images(file))
            elif path.name != "points3D.txt":
                clean.writelines(" ".join(words(line)) + "\n" for line in file if not _is_skipped(line))


def _images(lines: Iterator[str]) -> Iterator[str]:
    """Each image's line and an empty one in place of the line of its points, which may be empty already."""
    for line in lines:
        if _is_skipped(line):
            continue
        *numbers, name = words(line, COLUMNS_BEFORE_NAME + 1)
        yield " ".join([*numbers, quote(name)]) + "\n\n"
        next(lines, "")


def _is_skipped(line: str) -> bool:
    return not line.strip() or line.lstrip().startswith("#")

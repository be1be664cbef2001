"""Split files: a CSV `split,image` puts each image in train, val or test; those it leaves out are not used."""

from __future__ import annotations

import csv
from pathlib import Path

from transposenet_core.errors import UserError
from transposenet_core.formats.splitting import SPLIT_METHODS
from transposenet_core.scene import SPLITS
from transposenet_core.suggestions import did_you_mean
from transposenet_core.text_files import read_rows


def read_split_file(path: Path) -> dict[str, str]:
    """Image name -> split, in the file's order. UserError names the file and line of the first fault."""
    try:
        (_, columns), *rows = read_rows(path) or [(1, [])]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(
            f"{path}: the split file cannot be read ({error}); check the path given with --split{_near(path)}"
        ) from None
    if not {"split", "image"} <= set(columns):
        raise UserError(f"{path}: columns {columns} found, a split file has 'split,image'")
    splits: dict[str, str] = {}
    for line, values in rows:
        row = dict(zip(columns, values, strict=False))
        split, image = row.get("split", ""), row.get("image", "")
        if split not in SPLITS or not image:
            raise UserError(f"{path} line {line}: split '{split}' of '{image}', allowed are {', '.join(SPLITS)}")
        if splits.setdefault(image, split) != split:
            raise UserError(f"{path} line {line}: {image} is in both '{splits[image]}' and '{split}'")
    if not splits:
        raise UserError(
            f"{path}: the split file names no image; it has lines like 'train,seq-01/frame-000000.color.png'"
        )
    return splits


def _near(path: Path) -> str:
    """A file beside a missing one, or a method to split, that was probably meant."""
    if path.exists():
        return ""
    beside = [file.name for file in path.parent.glob("*.csv")]
    return did_you_mean(path.name, [*SPLIT_METHODS, *beside])

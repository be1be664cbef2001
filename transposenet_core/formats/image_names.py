"""Images by name in two data sets: below another folder, or as JPEG instead of PNG, an image is the same one."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import PurePosixPath

from transposenet_core.image_files import image_stem, posix_name


def same_images(names: Sequence[str], known: Sequence[str]) -> dict[int, int]:
    """Index of each of `names` that is one of the `known` -> its index there; names without a clear partner are left
    out. The folders that one of both has in front (redkitchen/seq-01/..., seq-01/...) may be missing in the other."""
    whole = _by_key([_parts(name) for name in known])
    below: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for parts, numbers in whole.items():
        for start in range(1, len(parts)):
            below[parts[start:]] += numbers
    found = {}
    for index, name in enumerate(names):
        parts = _parts(name)
        shorter = (parts[start:] for start in range(1, len(parts)))
        candidates = whole.get(parts) or below.get(parts) or next((whole[p] for p in shorter if p in whole), [])
        if len(candidates) == 1:
            found[index] = candidates[0]
    return found


def _by_key(keys: Sequence[tuple[str, ...]]) -> dict[tuple[str, ...], list[int]]:
    numbers: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for number, key in enumerate(keys):
        if key:
            numbers[key].append(number)
    return numbers


def _parts(name: str) -> tuple[str, ...]:
    """The folders and the stem of a name; none of ''."""
    return PurePosixPath(image_stem(posix_name(name))).parts

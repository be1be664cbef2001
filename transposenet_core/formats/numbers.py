"""Numbers in the options of an adapter and in the names of images."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from pathlib import PurePosixPath

from transposenet_core.errors import UserError
from transposenet_core.image_files import image_stem

LARGEST = 2e9  # between a clock that counts from 1970 and one that counts from power-on


def number_option(options: dict[str, str], name: str, default: float, where: object) -> float:
    """A finite number. UserError that starts with `where`."""
    text = options.get(name, str(default))
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not abs(value) <= LARGEST:
        raise UserError(
            f"{where}: the option {name}={text} is not a number up to {LARGEST:g}; write for example "
            f"{name}={default or 0.08:g}"
        )
    return value


def positive_option(options: dict[str, str], name: str, default: float, where: object) -> float:
    """A number above 0. UserError that starts with `where`."""
    value = number_option(options, name, default, where)
    if value <= 0:
        raise UserError(f"{where}: the option {name}={value:g} must be above 0")
    return value


def frame_stamps(names: Sequence[str], rate_hz: float) -> dict[str, float]:
    """Stamps in seconds of images without time: the last number in each name counts frames, or their order does.

    Their order where a name has no number, or two in a folder have the same.
    """
    numbers = [re.search(r"(\d+)\D*$", image_stem(PurePosixPath(name).name)) for name in names]
    counted = [(str(PurePosixPath(name).parent), int(n.group(1))) for name, n in zip(names, numbers, strict=True) if n]
    if len(set(counted)) == len(names):
        return {name: number / rate_hz for name, (_, number) in zip(names, counted, strict=True)}
    return {name: index / rate_hz for index, name in enumerate(names)}

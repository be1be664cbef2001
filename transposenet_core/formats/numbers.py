"""Numbers in the options of an adapter and in the names of images."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from pathlib import PurePosixPath

from transposenet_core.errors import UserError

MOST_DIGITS = 300
LARGEST = 2e9  # between clocks that count from 1970 and from switching on


def number_option(options: dict[str, str], name: str, default: float, where: object) -> float:
    """A finite number. UserError that starts with `where`."""
    text = options.get(name, str(default))
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not abs(value) <= LARGEST:
        raise UserError(
            f"{where}: the option {name}={text} is no number up to {LARGEST:g}; write one such as "
            f"{name}={default or 0.08:g}"
        )
    return value


def positive_option(options: dict[str, str], name: str, default: float, where: object) -> float:
    """A number above 0. UserError that starts with `where`."""
    value = number_option(options, name, default, where)
    if value <= 0:
        raise UserError(f"{where}: the option {name}={value:g} must be above 0")
    return value


def number_of(digits: str) -> int:
    """The number in a name; of more digits than a float can hold the last ones."""
    return int(digits[-MOST_DIGITS:])


def frame_stamps(names: Sequence[str], rate_hz: float) -> dict[str, float]:
    """Seconds of images that carry no time: the last number in each name counts frames, or their order does.

    Their order where a name has no number, or two in a folder have the same.
    """
    numbers = [re.search(r"(\d+)\D*$", PurePosixPath(name).stem) for name in names]
    found = zip(names, numbers, strict=True)
    counted = [(str(PurePosixPath(name).parent), number_of(n.group(1))) for name, n in found if n]
    if len(set(counted)) == len(names):
        return {name: number / rate_hz for name, (_, number) in zip(names, counted, strict=True)}
    return {name: index / rate_hz for index, name in enumerate(names)}

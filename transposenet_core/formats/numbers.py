"""Numbers in the options of an adapter and in the names of images."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from pathlib import PurePosixPath

from transposenet_core.errors import UserError
from transposenet_core.formats.faults import Faults
from transposenet_core.image_files import image_stem

MOST_DIGITS = 300
LARGEST = 2e9  # between a clock that counts from 1970 and one that counts from power-on
SCALE_MEANING = "metres that a unit of the poses has; without it positions are in arbitrary units, with a remark"
FASTEST_HZ, SLOWEST_S = 1e4, 8.0  # of a camera: beyond, its stamps are in another unit (100 Hz in milliseconds: 10)
RATE_MEANING = "images a second: the layout has no time, and without it nothing is printed in seconds"


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


def frame_rate(options: dict[str, str], usual_hz: float, where: object) -> tuple[float, float | None]:
    """The rate that frame numbers are divided by to make stamps of them, and `Scene.assumed_rate_hz`: the option
    `rate`, with which the stamps are times; without it `usual_hz` and that. UserError that starts with `where`."""
    rate_hz = positive_option(options, "rate", usual_hz, where)
    return rate_hz, None if "rate" in options else usual_hz


def metric_scale(options: dict[str, str], where: object, what: str, faults: Faults) -> tuple[float, str]:
    """What positions are multiplied by, the option `scale`, and their units, one of `scene.UNITS`: without the option
    they are arbitrary, with a remark that begins with `what`. UserError that starts with `where`."""
    if "scale" in options:
        return positive_option(options, "scale", 1.0, where), "metres"
    faults.remark(
        where, f"{what}: positions are in arbitrary units; scale=, --scale or --align converts them into metres"
    )
    return 1.0, "arbitrary"


def stamp_unit(period_s: float) -> str:
    """The unit that stamps are probably written in where frames are `period_s` seconds apart in the unit that the
    format has; '' where seconds are as likely as any other."""
    if 0 < period_s < 1 / FASTEST_HZ:
        return "a larger unit"
    units = {"milliseconds": 1e3, "microseconds": 1e6, "nanoseconds": 1e9}
    return next((u for u, each in units.items() if period_s > SLOWEST_S and period_s / each <= SLOWEST_S), "")


def number_of(digits: str) -> int:
    """The number in a name; of more digits than a float can hold the last ones."""
    return int(digits[-MOST_DIGITS:])


def frame_stamps(names: Sequence[str], rate_hz: float) -> dict[str, float]:
    """Stamps in seconds of images without time: the last number in each name counts frames, or their order does.

    Their order where a name has no number, or two in a folder have the same.
    """
    numbers = [re.search(r"(\d+)\D*$", image_stem(PurePosixPath(name).name)) for name in names]
    found = zip(names, numbers, strict=True)
    counted = [(str(PurePosixPath(name).parent), number_of(n.group(1))) for name, n in found if n]
    if len(set(counted)) == len(names):
        return {name: number / rate_hz for name, (_, number) in zip(names, counted, strict=True)}
    return {name: index / rate_hz for index, name in enumerate(names)}

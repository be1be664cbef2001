"""Numbers among an adapter's options."""

from __future__ import annotations

import math

from transposenet_core.errors import UserError


def number_option(options: dict[str, str], name: str, default: float, where: object) -> float:
    """A finite number. UserError that starts with `where`."""
    text = options.get(name, str(default))
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise UserError(f"{where}: the option {name}={text} is no number; write one such as {name}={default or 0.08:g}")
    return value


def positive_option(options: dict[str, str], name: str, default: float, where: object) -> float:
    """A number above 0. UserError that starts with `where`."""
    value = number_option(options, name, default, where)
    if value <= 0:
        raise UserError(f"{where}: the option {name}={value:g} must be above 0")
    return value

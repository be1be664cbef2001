"""The values that the options of models may have: options come out of scene models that others made.

A model declares one of these checks beside each of its options (``ALLOWED``), and `build_model` applies them before
anything is built. The bounds are far above what the papers and the presets use and far below what harms a computer.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from transposenet_core import checked
from transposenet_core.preprocessing import checked_window

# Of an option's name and value; ValueError names what is allowed.
Check = Callable[[str, Any], object]

MOST_CELLS = 2**14  # of an activation map that a Transformer reads: 1024 x 1024 pixels at level 3
MOST_SCENES = 1000
MOST_POSES = 200_000


def whole(low: int, high: int, multiple_of: int = 1) -> Check:
    """A whole number."""

    def check(name: str, value: Any) -> None:
        if checked.whole(name, value, low, high) % multiple_of:
            raise ValueError(f"{name} is {value}, a multiple of {multiple_of} is allowed")

    return check


def number(low: float, high: float, above: bool = False, below: bool = False) -> Check:
    """A number; with `above` not `low` itself, with `below` not `high`."""

    def check(name: str, value: Any) -> None:
        if checked.number(name, value, low, high, above) == high and below:
            raise ValueError(f"{name} is {value}, a number below {high:g} is allowed")

    return check


def one_of(*names: str) -> Check:
    """A word."""
    return lambda name, value: checked.text(name, value, names)


def or_none(check: Check) -> Check:
    """None, or what `check` allows."""
    return lambda name, value: None if value is None else check(name, value)


def entries(least: int, most: int, check: Check) -> Check:
    """A list of so many values."""

    def check_all(name: str, value: Any) -> None:
        for entry in checked.sequence(name, value, least, most):
            check(name, entry)

    return check_all


def camera(name: str, value: Any) -> None:
    """fx, fy, cx, cy in pixels of a window, or None."""
    if value is not None:
        for focal in checked.numbers(name, value, 4)[:2]:
            checked.number(name, focal, 0, above=True)


def nested(name: str, value: Any) -> None:
    """The options of another model, which `build_model` checks where it builds that; or None."""
    if value is not None:
        checked.mapping(name, value)


def check_cells(map_size: tuple[int, int]) -> None:
    """ValueError for an activation map (height, width) of more cells than a Transformer can read in time."""
    if map_size[0] * map_size[1] > MOST_CELLS:
        raise ValueError(
            f"a map of {map_size[0]} x {map_size[1]} cells, at most {MOST_CELLS} are allowed; take a smaller image_size"
        )


flag, window = checked.flag, checked_window
LEVEL, STRIDE = whole(1, 5), whole(1, 64)
LAYERS, HEADS, WIDTH, HIDDEN = whole(1, 48), whole(1, 64), whole(1, 1024), whole(1, 4096)
SHARE, SHARE_BELOW_1 = number(0, 1), number(0, 1, below=True)

"""Values out of files as they may be: a scene model may come from elsewhere, and every number has its bounds.

Each function returns the value or raises ValueError with its name, what was found and what is allowed.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np

MEBIBYTE = 2**20
LARGEST = 1e7  # metres from a map's origin and pixels: UTM northings are within it
LONGEST_TEXT = 4096


def number(name: str, value: Any, low: float = -LARGEST, high: float = LARGEST, above: bool = False) -> float:
    """A finite number from `low` to `high`; with `above` not `low` itself."""
    good = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not good or not low <= value <= high or (above and value == low):  # NaN is not, nor is an integer of any length
        allowed = f"a number {'above' if above else 'from'} {low:g} {'and at most' if above else 'to'} {high:g}"
        raise ValueError(f"{name} is {str(value)[:80]}, {allowed} is allowed")
    return float(value)


def whole(name: str, value: Any, low: int, high: int) -> int:
    """A whole number from `low` to `high`."""
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise ValueError(f"{name} is {str(value)[:80]}, a whole number from {low} to {high} is allowed")
    return value


def numbers(
    name: str, values: Any, count: int, low: float = -LARGEST, high: float = LARGEST, above: bool = False
) -> tuple:
    """A list of `count` such numbers."""
    if not isinstance(values, (list, tuple)) or len(values) != count:
        raise ValueError(f"{name} is {str(values)[:80]}, {count} numbers are needed")
    return tuple(number(name, value, low, high, above) for value in values)


def text(name: str, value: Any, allowed: tuple[str, ...] = ()) -> str:
    """A string that is not too long, and one of `allowed` if given."""
    if not isinstance(value, str) or len(value) > LONGEST_TEXT or (allowed and value not in allowed):
        wanted = f"one of {', '.join(allowed)}" if allowed else f"a text of at most {LONGEST_TEXT} characters"
        raise ValueError(f"{name} is {str(value)[:80]!r}, {wanted} is allowed")
    try:
        value.encode()  # or whoever prints or publishes it fails
    except UnicodeEncodeError:
        raise ValueError(f"{name} is {value[:80]!a}, in which half a character (a lone surrogate) stands") from None
    return value


def flag(name: str, value: Any) -> bool:
    """True or false, and no number that stands for one."""
    if not isinstance(value, bool):
        raise ValueError(f"{name} is {str(value)[:80]}, true or false is allowed")  # noqa: TRY004 - as all here
    return value


def sequence(name: str, value: Any, least: int, most: int) -> list | tuple:
    """A list of `least` to `most` entries."""
    if not isinstance(value, (list, tuple)) or not least <= len(value) <= most:
        found = f"of {len(value)} entries" if isinstance(value, (list, tuple)) else str(value)[:80]
        raise ValueError(f"{name} is {found}, a list of {least} to {most} is allowed")
    return value


def parsed_json(text: str | bytes) -> Any:
    """The value of a JSON text. ValueError for whatever is none: other texts, nesting without end, endless digits."""
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("nested too deep") from None


def mapping(name: str, value: Any) -> dict[str, Any]:
    """A JSON object."""
    if not isinstance(value, dict):
        raise ValueError(f"{name} is {str(value)[:80]}, a JSON object {{...}} is needed")  # noqa: TRY004 - as all here
    return value


def poses(name: str, positions_N3: np.ndarray, orientations_N4: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Positions (N, 3) within +-LARGEST and orientations (N, 4) of about unit length, float64."""
    positions_N3, orientations_N4 = np.asarray(positions_N3, np.float64), np.asarray(orientations_N4, np.float64)
    if positions_N3.ndim != 2 or positions_N3.shape != (len(orientations_N4), 3) or orientations_N4.shape[1:] != (4,):
        raise ValueError(
            f"{name}: shapes {positions_N3.shape} and {orientations_N4.shape}, (N, 3) and (N, 4) are needed"
        )
    if not (np.abs(positions_N3) <= LARGEST).all():  # NaN is not
        raise ValueError(f"{name}: a position that is not finite or beyond {LARGEST:g}")
    lengths_N = np.linalg.norm(orientations_N4, axis=1)
    if not (np.abs(lengths_N - 1) < 1e-2).all():
        raise ValueError(f"{name}: an orientation that is not a unit quaternion")
    return positions_N3, orientations_N4

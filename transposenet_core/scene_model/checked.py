"""Checks of the values of a description: a scene model may come from elsewhere, and every number has its bounds.

Each function returns the value or raises ValueError with its name, what was found and what is allowed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

LARGEST = 1e7  # metres from a map's origin and pixels: UTM northings are within it
LONGEST_TEXT = 4096
DEEPEST = 8


def number(name: str, value: Any, low: float = -LARGEST, high: float = LARGEST, above: bool = False) -> float:
    """A finite number from `low` to `high`; with `above` not `low` itself."""
    good = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    if not good or not low <= value <= high or (above and value == low):
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
    return value


def mapping(name: str, value: Any) -> dict[str, Any]:
    """A JSON object."""
    if not isinstance(value, dict):
        raise ValueError(f"{name} is {str(value)[:80]}, a JSON object {{...}} is needed")  # noqa: TRY004 - as all here
    return value


def every_number(name: str, value: Any, depth: int = 0) -> Any:
    """The same value, of which each number, however deep, is within +-LARGEST and each text short."""
    if depth > DEEPEST:
        raise ValueError(f"{name} is nested more than {DEEPEST} deep")
    if isinstance(value, Mapping):
        for key, inner in value.items():
            every_number(f"{name}.{text(name, key)}", inner, depth + 1)
    elif isinstance(value, (list, tuple)):
        for inner in value:
            every_number(name, inner, depth + 1)
    elif isinstance(value, str):
        text(name, value)
    elif value is not None and not isinstance(value, bool):
        number(name, value)
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

"""A suggestion for a name that does not exist."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The nearest of the known names; None where none is close."""
    return next(iter(difflib.get_close_matches(word, list(known), n=1)), None)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """``; did you mean 'NAME'?`` with the nearest of the known names, '' where none is close."""
    near = nearest(word, known)
    return f"; did you mean '{near}'?" if near else ""

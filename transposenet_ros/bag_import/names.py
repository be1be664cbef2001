"""Names from a recording, made safe to print: a topic or frame name can be any bytes."""

from __future__ import annotations

from collections.abc import Iterable

from transposenet_core.printable import printable

LONGEST = 120
MOST = 40


def shown(name: str) -> str:
    """The name without terminal control characters, and not longer than a line."""
    text = printable(name).replace("\n", "\\n")
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."


def listed(names: Iterable[str], none: str = "none") -> str:
    """The names in alphabetical order, the first MOST of them."""
    ordered = sorted(names)
    more = f" and {len(ordered) - MOST} more" if len(ordered) > MOST else ""
    return (", ".join(shown(name) for name in ordered[:MOST]) or none) + more

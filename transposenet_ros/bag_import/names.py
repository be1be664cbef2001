"""Names from a recording, made safe to print: a topic or frame name can be any bytes."""

from __future__ import annotations

from collections.abc import Iterable

from transposenet_core.printable import printable

LONGEST, LONGEST_SENTENCE = 120, 600
MOST = 40


def shown(name: str) -> str:
    """The name without terminal control characters, and not longer than a line."""
    text = printable(name).replace("\n", "\\n")
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."


def shown_sentence(text: str) -> str:
    """A sentence about the recording, made safe to print: what is too long loses its middle, not its end.

    The names that are allowed come last in a sentence, those from the recording first.
    """
    text, half = printable(text).replace("\n", "\\n"), LONGEST_SENTENCE // 2
    return text if len(text) <= LONGEST_SENTENCE else f"{text[:half]} ... {text[-half:]}"


def listed(names: Iterable[str], none: str = "none") -> str:
    """The names in alphabetical order, the first MOST of them."""
    ordered = sorted(names)
    more = f" and {len(ordered) - MOST} more" if len(ordered) > MOST else ""
    return (", ".join(shown(name) for name in ordered[:MOST]) or none) + more

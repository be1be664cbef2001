"""Names from files and recordings made safe to print: whoever wrote them may have put anything in them."""

from __future__ import annotations


def printable(text: str) -> str:
    """`text` with control characters and unprintable ones escaped; line breaks are kept."""
    return "".join(
        c if c.isprintable() or c == "\n" else c.encode("unicode_escape", "backslashreplace").decode() for c in text
    )

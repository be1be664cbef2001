"""Names from files and recordings as a person may see them: whoever wrote them may have put anything in them."""

from __future__ import annotations


def printable(text: str) -> str:
    """`text` with what a terminal would obey, or cannot print, written out; lines stay lines."""
    return "".join(
        c if c.isprintable() or c == "\n" else c.encode("unicode_escape", "backslashreplace").decode() for c in text
    )

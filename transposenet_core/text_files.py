"""Text files that users bring, read alike everywhere: any system's line ends and byte order marks, any separator.

Editors and spreadsheets leave UTF-8 with a byte order mark, UTF-16, CR LF, tabs, and commas where a format has spaces.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
from pathlib import Path
from typing import TextIO

UTF_16_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
SEPARATOR = re.compile(r"\s*,\s*|\s+")
DELIMITERS = ",\t;"  # of tables with a header; of equally frequent ones the first


def open_text(path: Path, errors: str = "strict") -> TextIO:
    """A file of UTF-8, or of UTF-16 where it begins with that mark, without the mark and with line ends "\\n".

    Raises OSError, and UnicodeDecodeError while it is read.
    """
    file = open(path, "rb")  # noqa: SIM115 - closed with what is returned
    encoding = "utf-16" if file.peek(2)[:2] in UTF_16_MARKS else "utf-8-sig"
    return io.TextIOWrapper(file, encoding=encoding, errors=errors)


def read_text(path: Path) -> str:
    """All of a file as `open_text` reads it. Raises OSError or UnicodeDecodeError."""
    with open_text(path) as file:
        return file.read()


def words(line: str, most: int = 0) -> list[str]:
    """What commas, tabs or spaces separate; at most `most` words, the last of which is the rest of the line."""
    line = line.strip()
    return SEPARATOR.split(line, maxsplit=max(most - 1, 0)) if line else []


def read_rows(path: Path) -> list[tuple[int, list[str]]]:
    """The rows of a table with a header (the first row), each with the number of its line; empty lines are left out.

    Columns are separated by what the header has: commas, tabs or semicolons. Raises OSError, UnicodeDecodeError or
    csv.Error.
    """
    text = read_text(path)
    header = text.lstrip().partition("\n")[0]
    reader = csv.reader(io.StringIO(text), delimiter=max(DELIMITERS, key=header.count), skipinitialspace=True)
    return [(reader.line_num, [value.strip() for value in row]) for row in reader if any(map(str.strip, row))]

"""The hash of a file, however large it is."""

from __future__ import annotations

import hashlib
from pathlib import Path

CHUNK = 2**20


def sha256_of(path: Path) -> str:
    """Hexadecimal digits; OSError where the file cannot be read."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()

"""Where files are kept that can be made anew: decoded images, exported networks of read-only scene models."""

from __future__ import annotations

import os
from pathlib import Path

PLACE = "TRANSPOSENET_CACHE"


def cache_folder(setting: str = "") -> Path | None:
    """The cache's folder: `setting`, else the environment's TRANSPOSENET_CACHE, else the user's cache (XDG).

    None, for no cache, if either is `none`.
    """
    place = setting or os.environ.get(PLACE, "")
    if place == "none":
        return None
    if place:
        return Path(place).expanduser()
    try:
        return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "transposenet"
    except RuntimeError:  # a user without a home folder
        return None

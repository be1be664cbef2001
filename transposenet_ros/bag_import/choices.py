"""Words that options of an import may be, apart from all that it needs to read a recording."""

from __future__ import annotations

# A word for --pose-frame: the poses are the camera's own, in its optical axes.
CAMERA = "camera"
AUTO, NONE = "auto", "none"
SPLITS = ("blocks", "sequence", NONE)
STAMPS = ("header", "received")

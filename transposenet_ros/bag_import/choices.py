"""Values of import options, in a module without the dependencies of reading a recording."""

from __future__ import annotations

# Value of --pose-frame: the poses are the camera's own, in its optical axes.
CAMERA = "camera"
AUTO, NONE = "auto", "none"
SPLITS = ("blocks", "sequence", NONE)
STAMPS = ("header", "received")

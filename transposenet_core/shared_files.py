"""Files beside the code, such as config/: in the source tree, or where an installation puts them (share/)."""

from __future__ import annotations

import os
import sys
from pathlib import Path

SHARE = Path("share") / "transposenet_ros"


def shared_places(relative: str | Path) -> list[Path]:
    """Where a file or folder may be, the most trusted place first: source tree, this installation, ROS's prefixes.

    `relative` is as in the source tree, for instance config/train.
    """
    package = Path(__file__).resolve().parent
    # PREFIX/lib/python3.x/site-packages/transposenet_core: pip --user and --prefix do not install below sys.prefix.
    prefixes = [*map(str, package.parents[3:4]), sys.prefix, *os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep)]
    installed = [Path(prefix) / SHARE / relative for prefix in dict.fromkeys(filter(None, prefixes))]
    return [package.parent / relative, *installed]

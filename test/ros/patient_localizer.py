"""The localizer node with a longer wait for another publisher, so that a busy machine can process images meanwhile."""

from __future__ import annotations

import sys

from transposenet_ros.localizer_node import main
from transposenet_ros.output import robot_frames

LISTEN_SECONDS = 6.0

if __name__ == "__main__":
    robot_frames.LISTEN_SECONDS = LISTEN_SECONDS
    sys.exit(main())

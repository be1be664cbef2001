"""Scene -> rosbag2: the console script of `transposenet make-bag`, and its function."""

from __future__ import annotations

import sys

from transposenet_core.commands.parser import run_command
from transposenet_ros.bags.from_scene import frame_times_ns, make_bag
from transposenet_ros.bags.topics import DEFAULT_START_S
from transposenet_ros.commands import make_bag as command

__all__ = ["DEFAULT_START_S", "frame_times_ns", "main", "make_bag"]


def main(argv: list[str] | None = None) -> int:
    """Console entry. Returns 0, 2 after one sentence on a user's error, or 130 after Ctrl-C."""
    return run_command(command, argv, "make_bag")


if __name__ == "__main__":
    sys.exit(main())

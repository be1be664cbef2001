"""rosbag2 or rosbag1 -> data set: the console script of `transposenet bag-to-dataset`."""

from __future__ import annotations

import sys

from transposenet_core.commands.parser import run_command
from transposenet_ros.commands import bag_to_dataset as command


def main(argv: list[str] | None = None) -> int:
    """Console entry. Returns 0, 2 after one sentence on a user's error, or 130 after Ctrl-C."""
    return run_command(command, argv, "bag_to_dataset")


if __name__ == "__main__":
    sys.exit(main())

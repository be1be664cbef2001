"""The console script `localizer`: the live node, or one sentence where ROS is not installed."""

from __future__ import annotations

import sys

from transposenet_core.command_line import exit_code
from transposenet_ros.commands.needed import require


def main(args: list[str] | None = None) -> int:
    """Run the node until it is shut down. Returns its exit code, or 2 where rclpy is not installed."""
    if code := exit_code(lambda: require("localizer", "rclpy")):
        return code
    from transposenet_ros import localizer_node  # restarts this Python where rclpy comes from wheels

    return localizer_node.main(args)


if __name__ == "__main__":
    sys.exit(main())

"""Bag -> live node -> errors: the console script of `transposenet replay`, and its function."""

from __future__ import annotations

import sys

from transposenet_core.commands.parser import run_command
from transposenet_ros.commands import replay as command
from transposenet_ros.replay.live_evaluation import FOR_RECORDINGS, evaluate_live

__all__ = ["FOR_RECORDINGS", "evaluate_live", "main"]


def main(argv: list[str] | None = None) -> int:
    """Console entry. Returns 0, 2 after one sentence on a user's error, or 130 after Ctrl-C."""
    return run_command(command, argv, "replay_evaluation")


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
"""`transposenet convert` from a checkout, installed or not: python training/convert_checkpoint.py CHECKPOINT ..."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # runs from a checkout that is not installed, too

from transposenet_core.commands import convert
from transposenet_core.commands.parser import run_command


def main(arguments: list[str] | None = None) -> int:
    return run_command(convert, arguments, "python training/convert_checkpoint.py")


if __name__ == "__main__":
    sys.exit(main())

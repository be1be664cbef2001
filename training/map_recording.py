#!/usr/bin/env python3
"""`transposenet map` from a checkout, installed or not: python training/map_recording.py FORMAT:PATH --out DIR"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # runs from a checkout that is not installed, too

from transposenet_core.commands import map as map_command
from transposenet_core.commands.parser import run_command


def main(arguments: list[str] | None = None) -> int:
    return run_command(map_command, arguments, "python training/map_recording.py")


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
"""`transposenet localize` from a checkout, installed or not: python training/localize.py --model MODEL IMAGE ..."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # runs from a checkout that is not installed, too

from transposenet_core.commands import localize
from transposenet_core.commands.parser import run_command


def main(arguments: list[str] | None = None) -> int:
    return run_command(localize, arguments, "python training/localize.py")


if __name__ == "__main__":
    sys.exit(main())

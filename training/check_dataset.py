#!/usr/bin/env python3
"""`transposenet check` from a checkout, installed or not: python training/check_dataset.py FORMAT:PATH [--out DIR]"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # runs from a checkout that is not installed, too

from transposenet_core.commands import check
from transposenet_core.commands.parser import run_command


def main(arguments: list[str] | None = None) -> int:
    return run_command(check, arguments, "python training/check_dataset.py")


if __name__ == "__main__":
    sys.exit(main())

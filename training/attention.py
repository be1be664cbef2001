#!/usr/bin/env python3
"""`transposenet attention` from a checkout: python training/attention.py MODEL --images ... --out FILE"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # runs from a checkout that is not installed, too

from transposenet_core.commands import attention
from transposenet_core.commands.parser import run_command


def main(arguments: list[str] | None = None) -> int:
    return run_command(attention, arguments, "python training/attention.py")


if __name__ == "__main__":
    sys.exit(main())

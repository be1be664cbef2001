#!/usr/bin/env python3
"""`transposenet evaluate` from a checkout, installed or not.

python training/evaluate.py MODEL --data FORMAT:PATH [--split FILE] [--predictions FILE] [--report DIR] [--json FILE]
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # runs from a checkout that is not installed, too

from transposenet_core.commands import evaluate
from transposenet_core.commands.parser import run_command


def main(arguments: list[str] | None = None) -> int:
    return run_command(evaluate, arguments, "python training/evaluate.py")


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
"""`transposenet train` from a checkout, installed or not.

python training/train.py --config config/train/NAME.yaml --data FORMAT:PATH --out DIR [key=value ...]
torchrun --nproc-per-node 2 training/train.py ...      the same run in two processes
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # runs from a checkout that is not installed, too

from transposenet_core.commands import train
from transposenet_core.commands.parser import run_command


def main(arguments: list[str] | None = None) -> int:
    return run_command(train, arguments, "python training/train.py")


if __name__ == "__main__":
    sys.exit(main())

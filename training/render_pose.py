#!/usr/bin/env python3
"""`transposenet render` from a checkout: python training/render_pose.py MODEL --pose ... --out FILE"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # runs from a checkout that is not installed, too

from transposenet_core.commands import render
from transposenet_core.commands.parser import run_command


def main(arguments: list[str] | None = None) -> int:
    return run_command(render, arguments, "python training/render_pose.py")


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
"""Judge a scene model on posed pictures it has not seen, beside a thumbnail look-up and a constant pose.

python training/evaluate.py MODEL --data 7scenes:PATH --split FILE [--predictions out.csv] [--report DIR] [--json FILE]
    [--other FORMAT:PATH]

The look-up and the constant pose know the training frames of the split. The predictions file has a line per picture:
image,x,y,z,qw,qx,qy,qz (T_map_camera, metres), sigma_x,sigma_y,sigma_z (metres), localized (0/1). Of a model of several
scenes --data says which one the pictures are of, by its name; a frame taken for another one counts as not localized.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # runs from a checkout that is not installed, too

from transposenet_core.command_line import exit_code
from transposenet_core.commands.evaluate import add_arguments, run
from transposenet_core.formats import describe_formats


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog="formats:\n" + describe_formats(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_arguments(parser)
    args = parser.parse_args(arguments)
    return exit_code(lambda: run(args))


if __name__ == "__main__":
    sys.exit(main())

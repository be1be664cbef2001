"""`transposenet evaluate`, for now: judge a scene model on posed pictures it has not seen."""

from __future__ import annotations

import argparse
from pathlib import Path

from transposenet_core.command_line import next_command
from transposenet_core.commands.data_options import MODEL_HELP, add_data_options, list_formats

HELP = "judge a scene model on pictures it has not seen"
DESCRIPTION = """Judge a scene model on posed pictures it has not seen, beside a thumbnail look-up and a constant
pose, which know the training frames of the split.

  transposenet evaluate MODEL --data FORMAT:PATH [--split FILE] [--predictions out.csv]
      [--report DIR] [--json FILE] [--other FORMAT:PATH]

The predictions file has a line per picture: image,x,y,z,qw,qx,qy,qz (T_map_camera, metres),
sigma_x,sigma_y,sigma_z (metres), localized (0/1). Of a model of several scenes --data says which
one the pictures are of, by its name; a frame taken for another one counts as not localized."""
help_all = list_formats


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_data_options(parser)
    parser.add_argument("model", type=Path, metavar="MODEL", help=MODEL_HELP)
    parser.add_argument("--select", default="test", choices=("train", "val", "test", "all"), help="frames to judge on")
    parser.add_argument(
        "--other", action="append", default=[], metavar="FORMAT:PATH", help="another place: how many are refused"
    )
    parser.add_argument(
        "--crops",
        type=int,
        metavar="N",
        help="average the answers for N windows of a picture (PoseNet: 128), fewer where it has little to spare",
    )
    parser.add_argument("--device", default="auto", choices=("auto", "cpu", "cuda"))
    parser.add_argument("--predictions", type=Path, metavar="FILE", help="write the poses as CSV")
    parser.add_argument("--report", type=Path, metavar="DIR", help="draw report.png there")
    parser.add_argument("--json", type=Path, metavar="FILE", help="the figures, unrounded")


def run(args: argparse.Namespace) -> None:
    from transposenet_core.commands.evaluate_for_now import evaluate

    evaluate(args)
    print(f"next: {next_command('localize', '--model', args.model, 'IMAGE')}")

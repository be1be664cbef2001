"""`transposenet export`: the network as a file for other runtimes."""

from __future__ import annotations

import argparse
from pathlib import Path

from transposenet_core.command_line import next_command
from transposenet_core.commands.data_options import MODEL_HELP
from transposenet_core.errors import UserError

HELP = "write the network as an ONNX or OpenVINO file for a runtime of your own"
DESCRIPTION = """Write the network of a scene model as a file for a runtime of your own.

  transposenet export MODEL --format onnx|openvino --out FILE

Beside FILE there is FILE.json: name, shape and preprocessing of the input, names, shapes and units
of the outputs, and what is left to compute from them where a pose is not among them. The node and
the other commands need no exported file: they make their own."""
SUFFIXES = {"onnx": ".onnx", "openvino": ".xml"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", type=Path, metavar="MODEL", help=MODEL_HELP)
    parser.add_argument("--format", default="onnx", choices=tuple(SUFFIXES), help="of the file")
    parser.add_argument("--out", required=True, type=Path, metavar="FILE", help="a file that does not exist")


def run(args: argparse.Namespace) -> None:
    suffix = SUFFIXES[args.format]
    if args.out.suffix != suffix:
        raise UserError(f"--out {args.out}: a file of format {args.format} ends in {suffix}; name it so")
    from transposenet_core.backends.export import export
    from transposenet_core.scene_model import SceneModel

    for path in export(SceneModel.load(args.model), args.out, args.format):
        print(f"written: {path}")
    print(f"next: {next_command('localize', '--model', args.model, 'IMAGE')}")

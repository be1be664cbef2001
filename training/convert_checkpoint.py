#!/usr/bin/env python3
"""Turn a checkpoint of the papers' public programs, TransPoseNet or the multi-scene transformer, into a scene model.

python training/convert_checkpoint.py CHECKPOINT --data FORMAT:PATH [--split FILE] --out MODEL [--heads 8]

The file is read for tensors alone, without a network, and nothing in it is run. What a scene model needs beyond weights
(map frame, camera, training poses, error) comes from the data that the checkpoint was trained on: of several scenes
from as many --data, in the checkpoint's order, which in those programs is that of their names.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # runs from a checkout that is not installed, too

from transposenet_core.checkpoints.reference_checkpoint import HEADS, convert
from transposenet_core.command_line import exit_code
from transposenet_core.errors import UserError
from transposenet_core.formats import SKIP_BAD_HELP, SPLIT_HELP, describe_formats
from transposenet_core.several_scenes import NAME_HELP, SEVERAL_HELP, SEVERAL_SPLITS_HELP, load_scenes
from transposenet_core.training.converted import converted_scene_model


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog="formats:\n" + describe_formats(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("checkpoint", type=Path, metavar="CHECKPOINT", help="a state_dict: .pth, .pt or .safetensors")
    parser.add_argument("--data", required=True, action="append", metavar="FORMAT:PATH", help=SEVERAL_HELP)
    parser.add_argument("--split", action="append", default=[], help=f"{SPLIT_HELP}; {SEVERAL_SPLITS_HELP}")
    parser.add_argument("--name", action="append", default=[], help=NAME_HELP)
    parser.add_argument("--skip-bad", action="store_true", help=SKIP_BAD_HELP)
    parser.add_argument("--out", required=True, type=Path, help="the folder that becomes the scene model")
    parser.add_argument(
        "--heads",
        type=int,
        default=HEADS,
        help="attention heads, which the weights do not show: the papers say 4, their code runs 8 (default)",
    )
    args = parser.parse_args(arguments)
    return exit_code(lambda: run(args))


def run(args: argparse.Namespace) -> None:
    if args.out.exists():
        raise UserError(f"--out {args.out} is there already: name a new folder")
    conversion = convert(args.checkpoint, args.heads)
    model, told = converted_scene_model(conversion, load_scenes(args.data, args.split, args.name, args.skip_bad))
    model.save(args.out)
    print(f"{conversion.origin}: {conversion.architecture}, {args.heads} heads")
    print(f"{conversion.unused / 1e6:.2f} M numbers that nothing reads were left out")
    print(told)
    print(f"scene model: {args.out}")


if __name__ == "__main__":
    sys.exit(main())

"""`transposenet convert`: make a scene model from a checkpoint of the papers' public programs."""

from __future__ import annotations

import argparse
from pathlib import Path

from transposenet_core.command_line import next_command
from transposenet_core.commands.data_options import add_data_options, data_again, list_formats, load_given
from transposenet_core.errors import UserError

HELP = "make a scene model from a public checkpoint"
DESCRIPTION = """Turn a checkpoint of the papers' public programs, TransPoseNet or the multi-scene
transformer, into a scene model.

  transposenet convert CHECKPOINT --data FORMAT:PATH [--split FILE] --out MODEL [--heads 8]

Only tensors are read from the file, offline, and no code in it is run. What a scene model needs
beyond weights (map frame, camera, training poses, error) comes from the data that the checkpoint
was trained on: of several scenes from as many --data, in the checkpoint's order, which in those
programs is that of their names."""
help_all = list_formats


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("checkpoint", type=Path, metavar="CHECKPOINT", help="a state_dict: .pth, .pt or .safetensors")
    add_data_options(parser)
    add("--out", required=True, type=Path, metavar="DIR", help="the folder to write the scene model to")
    add(
        "--heads",
        type=int,
        help="attention heads, not visible in the weights: 4 in the papers, 8 in their code (default)",
    )


def run(args: argparse.Namespace) -> None:
    if args.out.exists():
        raise UserError(f"--out {args.out} already exists: name a new folder")
    from transposenet_core.checkpoints.reference_checkpoint import HEADS, convert
    from transposenet_core.training.converted import converted_scene_model

    heads = HEADS if args.heads is None else args.heads
    conversion = convert(args.checkpoint, heads)
    model, summary = converted_scene_model(conversion, load_given(args))
    model.save(args.out)
    print(f"{conversion.origin}: {conversion.architecture}, {heads} heads")
    print(f"{conversion.unused / 1e6:.2f} M unused weights were left out")
    print(summary)
    print(f"scene model: {args.out}")
    print(f"next: {next_command('evaluate', args.out, *data_again(args))}")

"""`transposenet render`: draw what a scene model expects a camera to see from a pose."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

from transposenet_core.command_line import next_command
from transposenet_core.commands.data_options import MODEL_HELP

HELP = "draw what a model expects a camera to see from a pose"
DESCRIPTION = """Draw what a scene model expects a camera to see from a pose.

  transposenet render MODEL --pose X Y Z QW QX QY QZ --out image.png [--scene NAME]

MODEL is a scene model of pose_autoencoder with a decoder. The pose is T_map_camera: the camera's
centre in metres and its orientation as a quaternion w x y z, optical axes (x right, y down, z
forward). Far from the training poses the image is a guess; the distance is printed."""
NUMBERS = ("X", "Y", "Z", "QW", "QX", "QY", "QZ")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("model", type=Path, metavar="MODEL", help=MODEL_HELP)
    parser._negative_number_matcher = re.compile(r"-\.?\d")  # -1e-05 is a number, not an option, as in Python 3.14
    add("--pose", type=float, nargs=7, required=True, metavar=NUMBERS)
    add("--out", type=Path, required=True, metavar="FILE", help="the image, PNG or JPEG")
    add("--scene", default="", metavar="NAME", help="the scene whose map the pose is in, for a model of several")


def run(args: argparse.Namespace) -> None:
    from transposenet_core.inspection.reconstruction import (
        nearest_training_pose,
        pose_of_numbers,
        reconstruct,
        write_image,
    )
    from transposenet_core.scene import common_units, unit_name
    from transposenet_core.scene_model import SceneModel

    pose, model = pose_of_numbers(args.pose), SceneModel.load(args.model)
    image_HW3 = reconstruct(model, pose, args.scene)
    write_image(args.out, image_HW3)
    (away, degrees), (height, width) = nearest_training_pose(model, pose, args.scene), image_HW3.shape[:2]
    away_text = f"{away:.2f} {unit_name(common_units(model.scenes))} and {degrees:.1f} deg"
    print(f"{args.out}: {width}x{height} pixels; the nearest training view is {away_text} away")
    print(f"next: {next_command('localize', '--model', args.model, args.out)}")

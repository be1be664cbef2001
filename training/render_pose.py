#!/usr/bin/env python3
"""Draw what a scene model expects a camera to see from a pose.

python training/render_pose.py MODEL --pose X Y Z QW QX QY QZ --out picture.png [--scene NAME]

MODEL is a scene model of pose_autoencoder with a decoder. The pose is T_map_camera: the camera's centre in metres and
its orientation as a quaternion w x y z, optical axes (x right, y down, z forward). Far from the training poses the
picture is a guess: how far is printed.
"""

import argparse
import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # runs from a checkout that is not installed, too

from transposenet_core.command_line import exit_code
from transposenet_core.inspection.reconstruction import (
    nearest_training_pose,
    pose_of_numbers,
    reconstruct,
    write_picture,
)
from transposenet_core.scene_model import SceneModel


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, metavar="MODEL", help="a scene model: the folder that train.py --out wrote")
    parser._negative_number_matcher = re.compile(r"-\.?\d")  # -1e-05 is a number, not an option, as in Python 3.14
    names = ("X", "Y", "Z", "QW", "QX", "QY", "QZ")
    parser.add_argument("--pose", type=float, nargs=7, required=True, metavar=names)
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="the picture, PNG or JPEG")
    parser.add_argument(
        "--scene", default="", metavar="NAME", help="of a model of several scenes: the pose is in its map"
    )
    args = parser.parse_args(arguments)
    return exit_code(lambda: render(args))


def render(args: argparse.Namespace) -> None:
    pose, model = pose_of_numbers(args.pose), SceneModel.load(args.model)
    picture_HW3 = reconstruct(model, pose, args.scene)
    write_picture(args.out, picture_HW3)
    metres, degrees = nearest_training_pose(model, pose, args.scene)
    height, width = picture_HW3.shape[:2]
    print(
        f"{args.out}: {width}x{height} pixels; the nearest training view is {metres:.2f} m and {degrees:.1f} deg away"
    )


if __name__ == "__main__":
    sys.exit(main())

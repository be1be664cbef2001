#!/usr/bin/env python3
"""Whether a network takes traces of view synthesis for a cue to how far ahead the camera is: errors by image change.

python benchmarks/cue_bias.py MODEL --data FORMAT:PATH [--split FILE] [--select val] [--borders 4 8] [--blurs 0.4 0.8]

A view synthesised for a camera that moved ahead has no empty borders and is less sharp, while a robot's images are
whatever its camera delivers. Each row applies one change to all images, at the size the network sees: a border of a
percentage of the width, or a Gaussian blur of some pixels. The table has the median errors and the mean error along
the camera's own axes: a mean that grows with the change shows that the network uses it as a cue to the position.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # runs from a checkout that is not installed, too

from benchmarks import markdown
from transposenet_core.command_line import exit_code
from transposenet_core.errors import UserError
from transposenet_core.evaluation.errors import pose_errors
from transposenet_core.formats import load_scene
from transposenet_core.geometry.pose import Pose
from transposenet_core.preprocessing import mean_colour
from transposenet_core.scene_model import SceneModel
from transposenet_core.training.augmentation.image_corruptions import blurred
from transposenet_core.training.data.pixels import load_pixels
from transposenet_core.training.validation import predict


def framed(image_B3HW: torch.Tensor, percent: float) -> torch.Tensor:
    """Images with a border of that share of their width, in the mean colour, which is 0 for the network."""
    height, width = image_B3HW.shape[-2:]
    pixels = round(width * percent / 100)
    inside_HW = torch.zeros(height, width, dtype=torch.bool)
    inside_HW[pixels : height - pixels, pixels : width - pixels] = True
    colour = mean_colour(torch.device("cpu")).round().to(image_B3HW.dtype)
    return torch.where(inside_HW, image_B3HW, colour)


def changed(image_N3HW: torch.Tensor, args: argparse.Namespace) -> Iterator[tuple[str, torch.Tensor]]:
    """Each change by name, and the changed images."""
    yield "as recorded", image_N3HW
    for percent in args.borders:
        yield f"border of {percent:g} %", framed(image_N3HW, percent)
    for sigma in args.blurs:
        parts = [blurred(part, sigma, torch.ones(len(part))) for part in image_N3HW.split(32)]
        yield f"blur of {sigma:g} pixels", torch.cat(parts).round().to(torch.uint8)


def errors(found: list[Pose], ground_truth_poses: list[Pose]) -> tuple[str, ...]:
    """Median position and orientation error, and the mean position error along the camera's axes."""
    metres_N, degrees_N = pose_errors(found, ground_truth_poses)
    away_N3 = [t.rotation_33.T @ (p.position - t.position) for p, t in zip(found, ground_truth_poses, strict=True)]
    mean_3 = np.mean(away_N3, axis=0)
    return (f"{np.median(metres_N):.3f} m", f"{np.median(degrees_N):.2f} deg", *(f"{v:+.3f} m" for v in mean_3))


def compare(args: argparse.Namespace) -> None:
    if not all(0 <= percent < 30 for percent in args.borders):
        raise UserError(f"--borders {args.borders}: give percent of the image's width, from 0 to below 30")
    if not all(0 < sigma <= 5 for sigma in args.blurs):
        raise UserError(f"--blurs {args.blurs}: give pixels, above 0 and up to 5")
    model = SceneModel.load(args.model)
    if len(model.scenes) > 1:
        raise UserError(f"{args.model}: a scene model of {model.title}; give one of a single scene")
    scene = replace(load_scene(args.data, args.split), T_pose_camera=model.scenes[0].T_pose_camera).of_the_camera()
    images = scene.select(args.select)
    pixels = load_pixels(images, model.preprocessing, camera=scene.intrinsics)
    rows = []
    for name, image_N3HW in changed(model.preprocessing.crop(pixels.image_N3HW), args):
        poses = predict(model.network, replace(pixels, image_N3HW=image_N3HW), model.preprocessing)
        rows.append((name, *errors(poses, [image.pose for image in images])))
    print(markdown.table(("images", "median", "median", "to the right", "down", "ahead"), rows))
    print(f"{len(images)} {args.select} frames")


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, metavar="MODEL")
    parser.add_argument("--data", required=True, metavar="FORMAT:PATH")
    parser.add_argument("--split", help="split file")
    parser.add_argument("--select", default="val", metavar="SPLIT")
    parser.add_argument("--borders", type=float, nargs="*", default=[4, 8], metavar="PERCENT")
    parser.add_argument("--blurs", type=float, nargs="*", default=[0.4, 0.8], metavar="PIXELS")
    args = parser.parse_args(arguments)
    return exit_code(lambda: compare(args))


if __name__ == "__main__":
    sys.exit(main())

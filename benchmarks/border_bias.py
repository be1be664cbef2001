#!/usr/bin/env python3
"""Whether a model takes pictures without borders for ones from farther ahead: its error against a border put on.

python benchmarks/border_bias.py MODEL --data FORMAT:PATH [--split FILE] [--select val] [--borders 0 2 4 6 8]

A border of so many percent of the picture's width, in the colour that views made for a moved camera have where nothing
was seen, is laid around each picture. Printed are the median errors and the mean error along the camera's own axes: a
mean that runs with the border says that the network reads from borders how far ahead the camera is.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # runs from a checkout that is not installed, too

from benchmarks import markdown
from transposenet_core.command_line import exit_code
from transposenet_core.errors import UserError
from transposenet_core.evaluation import pose_errors
from transposenet_core.formats import load_scene
from transposenet_core.image_files import read_image
from transposenet_core.localizer import Localizer
from transposenet_core.preprocessing import mean_colour
from transposenet_core.scene import PosedImage


def bordered(image_HW3: np.ndarray, percent: float) -> np.ndarray:
    """The picture with a border of that share of its width in the mean colour, which is 0 for the network."""
    pixels = round(image_HW3.shape[1] * percent / 100)
    colour_3 = mean_colour(torch.device("cpu")).flatten().round().numpy().astype(np.uint8)
    inside = np.zeros(image_HW3.shape[:2], bool)
    inside[pixels : image_HW3.shape[0] - pixels, pixels : image_HW3.shape[1] - pixels] = True
    return np.where(inside[..., None], image_HW3, colour_3)


def errors(localizer: Localizer, images: list[PosedImage], percent: float) -> tuple[float, float, np.ndarray]:
    """Median position (m) and orientation error (deg), and the mean position error along the camera's axes (3,)."""
    poses = []
    for image in tqdm(images, desc=f"{percent:g} %", leave=False, disable=not sys.stderr.isatty()):
        pose = localizer.localize(bordered(read_image(image.path), percent)).pose
        if pose is None:
            raise UserError(f"{image.path}: the model gives no pose; train it again")
        poses.append(pose)
    truths = [image.pose for image in images]
    metres_N, degrees_N = pose_errors(poses, truths)
    away = [t.rotation_33.T @ (p.position - t.position) for p, t in zip(poses, truths, strict=True)]
    return float(np.median(metres_N)), float(np.median(degrees_N)), np.mean(away, axis=0)


def compare(args: argparse.Namespace) -> None:
    if not all(0 <= percent < 30 for percent in args.borders):
        raise UserError(f"--borders {args.borders}: percent of the picture's width, from 0 to below 30")
    localizer, images = Localizer(args.model), load_scene(args.data, args.split).select(args.select)
    rows = []
    for percent in args.borders:
        metres, degrees, away_3 = errors(localizer, images, percent)
        rows.append((f"{percent:g} %", f"{metres:.3f} m", f"{degrees:.2f} deg", *(f"{v:+.3f} m" for v in away_3)))
    print(markdown.table(("border", "median", "median", "to the right", "down", "ahead"), rows))
    print(f"{len(images)} {args.select} frames")


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, metavar="MODEL")
    parser.add_argument("--data", required=True, metavar="FORMAT:PATH")
    parser.add_argument("--split", help="split file")
    parser.add_argument("--select", default="val", metavar="SPLIT")
    parser.add_argument("--borders", type=float, nargs="+", default=[0, 2, 4, 6, 8], metavar="PERCENT")
    args = parser.parse_args(arguments)
    return exit_code(lambda: compare(args))


if __name__ == "__main__":
    sys.exit(main())

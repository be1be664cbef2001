#!/usr/bin/env python3
"""How many images of other places a scene model with keyframes accepts: they should be none.

python benchmarks/foreign_images.py MODEL --other FORMAT:PATH [--other ...] [--every N]

Each image is cut to the aspect ratio of the model's camera, or refinement would not even be tried. For each place:
images, refined ones (keyframes agree, wrongly), localized ones (the network lets them pass).
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # runs from a checkout that is not installed, too

from benchmarks import markdown
from transposenet_core.command_line import exit_code
from transposenet_core.errors import UserError
from transposenet_core.formats import load_scene
from transposenet_core.image_files import read_image
from transposenet_core.localizer import Localizer
from transposenet_core.progress import ProgressBar


def cut_to(image_HW3: np.ndarray, ratio: float) -> np.ndarray:
    """The middle of an image, with `ratio` = width / height."""
    height, width = image_HW3.shape[:2]
    new_height, new_width = min(height, round(width / ratio)), min(width, round(height * ratio))
    top, left = (height - new_height) // 2, (width - new_width) // 2
    return image_HW3[top : top + new_height, left : left + new_width]


def main(args: argparse.Namespace) -> None:
    localizer = Localizer(args.model)
    camera = localizer.scene_model.camera
    if camera is None or not localizer.refines:
        raise UserError(f"{args.model}: has no keyframes, or several cameras")
    rows = []
    for data in args.other:
        scene = load_scene(data, skip_bad=True)
        images = scene.images[:: args.every]
        shown = ProgressBar(images, desc=scene.name, unit="img", leave=False)
        found = [localizer.localize(cut_to(read_image(i.path), camera.width / camera.height)) for i in shown]
        counts = [sum(e.refined for e in found), sum(e.localized for e in found)]
        rows.append([scene.name, str(len(found)), *map(str, counts)])
    print(markdown.table(["place", "images", "refined", "localized"], rows))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, metavar="MODEL")
    parser.add_argument("--other", required=True, action="append", metavar="FORMAT:PATH")
    parser.add_argument("--every", type=int, default=1)
    sys.exit(exit_code(lambda: main(parser.parse_args())))

#!/usr/bin/env python3
"""How much worse a network is that learnt a map of the demo's room than one that learnt exact poses and depth.

python benchmarks/mapping_demo_model.py --out DIR [--drives 5 6] [--every 2] [--test-drive 7] [--only map|exact]
    [key=value ...]

DIR is that of `mapping_demo.py`, which was run with the same drives and --every before. Both networks learn the same
frames by the same schedule (the preset's with key=value) and are evaluated on a drive that neither has seen, whose
poses are exact. The map's frame is laid onto the exact one by SE(3) through the training poses. --only trains one of
the two, so that two processes can share two cores; the last one, or a run without it, prints the table.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # runs from a checkout that is not installed, too

from benchmarks import markdown
from benchmarks.mapping_demo import exact_scene
from transposenet_core.command_line import exit_code
from transposenet_core.commands import train
from transposenet_core.commands.parser import run_command
from transposenet_core.errors import UserError
from transposenet_core.evaluation.errors import pose_errors
from transposenet_core.formats import load_scene
from transposenet_core.formats.folder_writing import write_folder_dataset
from transposenet_core.geometry.pose import stack
from transposenet_core.geometry.similarity import Similarity
from transposenet_core.image_files import image_stem
from transposenet_core.localizer import Localizer
from transposenet_core.preprocessing import read_rectified

KINDS = ("exact", "map")
TEST_EVERY = 3


def run(args: argparse.Namespace) -> None:
    mapped = load_scene(args.out / "map")
    exact = exact_scene(args.room or args.out / "room", args.drives, args.every)
    splits = {image_stem(image.name): image.split for image in mapped.images}
    same = [replace(i, split=splits[image_stem(i.name)]) for i in exact.images if image_stem(i.name) in splits]
    if not (args.out / "exact").is_dir():
        write_folder_dataset(args.out / "exact", replace(exact, images=same))
    for kind in KINDS if args.only is None else (args.only,):
        folder = args.out / f"model_{kind}"
        if not (folder / "scene.json").is_file():
            arguments = ["--config", "scene_coordinates", "--data", f"folder:{args.out / kind}", "--out", str(folder)]
            if run_command(train, [*arguments, *args.overrides], "train"):
                raise UserError(f"{folder}: the training did not end; run it again with another --out")
    if not all((args.out / f"model_{kind}" / "scene.json").is_file() for kind in KINDS):
        return
    true = {image_stem(image.name): image.pose for image in exact.images}
    ours = {image_stem(image.name): image.pose for image in mapped.images if image.split == "train"}
    pairs = [stack([poses[name] for name in ours])[0] for poses in (ours, true)]
    to_exact = {"map": Similarity.of_points(*pairs, with_scale=False), "exact": None}
    test = exact_scene(args.room or args.out / "room", [args.test_drive], TEST_EVERY).images
    medians, rows = {}, []
    for kind in KINDS:
        localizer = Localizer(args.out / f"model_{kind}", "cpu", "torch")
        poses = [localizer.localize(read_rectified(image.path, None)).pose for image in test]
        found = [pose for pose in poses if pose is not None]
        laid = [to_exact[kind](pose) for pose in found] if to_exact[kind] else found
        wanted = [image.pose for image, pose in zip(test, poses, strict=True) if pose is not None]
        metres_N, degrees_N = pose_errors(laid, wanted)
        medians[kind] = np.median(metres_N), np.median(degrees_N)
        p95 = np.percentile(metres_N, 95), np.percentile(degrees_N, 95)
        rows.append((kind, *(f"{m:.4f} m / {d:.2f} deg" for m, d in (medians[kind], p95)), str(len(found))))
    print(markdown.table(("learnt from", "median", "p95", "frames"), rows))
    metres, degrees = (m / e for m, e in zip(medians["map"], medians["exact"], strict=True))
    print(f"the map's network is {metres:.2f} times as far off in position, {degrees:.2f} times in rotation")


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description="A network that learnt a map beside one that learnt exact poses and depth."
    )
    parser.add_argument("--out", required=True, type=Path, metavar="DIR", help="that of mapping_demo.py")
    parser.add_argument("--room", type=Path, metavar="DIR", help="rendered drives, if elsewhere than in DIR/room")
    parser.add_argument("--drives", type=int, nargs="+", default=[5, 6])
    parser.add_argument("--every", type=int, default=2)
    parser.add_argument("--test-drive", type=int, default=7)
    parser.add_argument("--only", choices=KINDS)
    parser.add_argument("overrides", nargs="*", metavar="key=value")
    return exit_code(lambda: run(parser.parse_args(arguments)))


if __name__ == "__main__":
    sys.exit(main())

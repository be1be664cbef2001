#!/usr/bin/env python3
"""Depth of a mapped data set against a sensor's or the renderer's: coverage, shares within 5 and 10 %, median, bias.

python benchmarks/depth_from_motion.py --data FOLDER --sensor FORMAT:PATH [--split FILE] [--worst 5]

FOLDER was written by `transposenet map`; its training frames are compared. --sensor is the original data set with depth
images; its frames have the same names, up to the suffix. --split is the split file of the original.
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
from transposenet_core.image_files import image_stem
from transposenet_core.mapping.dense.depth_errors import DepthErrorCounter
from transposenet_core.mapping.dense.result import FrameDepth
from transposenet_core.mapping.dense.sensor import read_depth, read_sensor, registered
from transposenet_core.mapping.dense.sensor_comparison import compare_with_sensor
from transposenet_core.scene import PosedImage, Scene

COLUMNS = ["", "covered", "within 5 %", "within 10 %", "median", "bias", "> 20 % off"]


def matched(mapped: Scene, original: Scene) -> list[tuple[FrameDepth, PosedImage]]:
    """Training frames of the mapped data set with depth, and the same frames of the original with a sensor's depth."""
    sensors = {_key(image.name): image for image in original.images if image.depth_path is not None}
    frames = [image for image in mapped.images if image.split == "train" and image.depth_path is not None]
    both = [(frame, sensors[_key(frame.name)]) for frame in frames if _key(frame.name) in sensors]
    if not both:
        raise UserError(
            f"{mapped.root}: of {len(frames)} training frames with depth none has the name of one of the "
            f"{len(sensors)} frames with a sensor's depth in {original.root}; give the data set that was mapped"
        )
    return [(FrameDepth(frame.name, frame.depth_path), image) for frame, image in both]


def _key(name: str) -> str:
    """Folder and name of the frame: how much of the path a copy keeps depends on where its root is."""
    return "/".join(Path(image_stem(name)).parts[-2:])


def row(title: str, counter: DepthErrorCounter) -> list[str]:
    errors = counter.result()
    if errors is None:
        return [title, "0 %", *["-"] * 5]
    shares = (errors.covered, errors.within_5, errors.within_10)
    return [
        title,
        *(f"{s:.1%}" for s in shares),
        f"{errors.median:.2%}",
        f"{errors.bias:+.2%}",
        f"{errors.beyond_20:.2%}",
    ]


def run(options: argparse.Namespace) -> None:
    mapped, original = load_scene(f"folder:{options.data}"), load_scene(options.sensor, options.split)
    if mapped.depth_camera is None or original.depth_camera is None:
        where = mapped.root if mapped.depth_camera is None else original.root
        raise UserError(f"{where}: there are no depth images with intrinsics; give a data set that has some")
    pairs = matched(mapped, original)
    rows, everything = [], DepthErrorCounter()
    for frame, image in pairs:
        depth_HW, pinhole = read_sensor(image.depth_path, original.depth_camera)
        reference_HW = registered(
            depth_HW, pinhole, original.depth_camera.T_camera_depth, mapped.depth_camera.intrinsics
        )
        alone, motion_HW = DepthErrorCounter(), read_depth(frame, mapped.depth_camera)
        error_N = alone.add(motion_HW, reference_HW)
        everything.add(motion_HW, reference_HW)
        rows.append((float(np.mean(np.abs(error_N) < 0.1)) if len(error_N) else 0.0, row(frame.name, alone)))
    rows.sort(key=lambda one: one[0])
    print(
        markdown.table(
            COLUMNS, [row(f"{len(pairs)} frames", everything), *(cells for _, cells in rows[: options.worst])]
        )
    )
    frames, images = [frame for frame, _ in pairs], [image for _, image in pairs]
    metric, timed = original.units == "metres", original.assumed_rate_hz is None
    if found := compare_with_sensor(
        frames, mapped.depth_camera, images, original.depth_camera, metric=metric, timed=timed
    ):
        print("\n".join(found.sentences()))


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Depth from motion against a sensor's or the renderer's depth.")
    parser.add_argument("--data", required=True, type=Path, metavar="FOLDER", help="written by transposenet map")
    parser.add_argument("--sensor", required=True, metavar="FORMAT:PATH", help="the original data set, with depth")
    parser.add_argument("--split", type=Path, help="split file of the original data set")
    parser.add_argument("--worst", type=int, default=5, help="so many of the worst frames are listed (5)")
    options = parser.parse_args(arguments)
    return exit_code(lambda: run(options))


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
"""How long it takes until the images of a scene are ready for training, the first and the second time.

python benchmarks/pixel_cache_speed.py --data 7scenes:PATH [--split FILE] [--smaller-edge 256] [--threads 2]

Each time is measured in a separate process, from reading the labels to the last image of the mapped tensor, without
the start of Python and torch. The cache is an initially empty folder that is removed afterwards.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # runs from a checkout that is not installed, too

from transposenet_core.command_line import exit_code
from transposenet_core.formats import load_scene
from transposenet_core.preprocessing import Preprocessing
from transposenet_core.training.data.pixel_cache import PixelCache
from transposenet_core.training.data.pixels import load_pixels


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, metavar="FORMAT:PATH")
    parser.add_argument("--split", help="a CSV 'split,image'")
    parser.add_argument("--smaller-edge", type=int, default=256)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--cache", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args(arguments)
    return exit_code(lambda: once(args) if args.cache else compare(args))


def compare(args: argparse.Namespace) -> None:
    """Start one process for the first time and another for the second."""
    with tempfile.TemporaryDirectory(prefix="pixel-cache-") as folder:
        for name in ("first time", "second time"):
            command = [sys.executable, __file__, *sys.argv[1:], "--cache", folder]
            ended = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env=os.environ)
            print(f"{name:<12} {ended.stdout.strip()}", flush=True)


def once(args: argparse.Namespace) -> None:
    """Measure and print one time."""
    started, used = time.perf_counter(), time.process_time()
    scene = load_scene(args.data, args.split)
    size = Preprocessing(args.smaller_edge, (args.smaller_edge, args.smaller_edge))
    cache = PixelCache(args.cache)
    pixels = load_pixels(scene.images, size, threads=args.threads, camera=scene.intrinsics, cache=cache).image_N3HW
    touched = int(sum(int(image.amax()) for image in pixels) > 0)
    seconds, used = time.perf_counter() - started, time.process_time() - used
    count, _, height, width = pixels.shape
    print(f"{seconds:6.2f} s, {used:.2f} s of CPU time, {count * touched} images of {width}x{height} pixels")


if __name__ == "__main__":
    sys.exit(main())

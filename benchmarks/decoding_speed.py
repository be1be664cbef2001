#!/usr/bin/env python3
"""The decoding time of a message for each encoding, compared with one cv2.cvtColor of the same size.

python benchmarks/decoding_speed.py [--width 640] [--height 480] [--seconds 0.2] [--padding 0]

Milliseconds of `decode_image` for a received message; the yardstick is OpenCV's BGR to RGB on an array, timed
alternately with it, on one thread. JPEG is a smooth image of quality 95, PNG the same at OpenCV's default level.
"""

from __future__ import annotations

import argparse
import array
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from sensor_msgs.msg import CompressedImage, Image

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # runs from a checkout that is not installed, too

from transposenet_core.command_line import exit_code
from transposenet_core.errors import UserError
from transposenet_ros.decoding.image_decoding import ENCODINGS, decode_image

LEAST_ROUNDS = 7


def camera_messages(width: int, height: int, padding: int) -> dict[str, Any]:
    """One message of each encoding; raw ones hold noise, as no converter's time depends on the content."""
    random = np.random.default_rng(0)
    found: dict[str, Any] = {}
    for name, layout in ENCODINGS.items():
        step = (width + padding) * layout.pixel_bytes
        data = array.array("B", random.bytes(layout.rows(height) * step))
        found[name] = Image(encoding=name, width=width, height=height, step=step, data=data)
    coarse_HW3 = random.integers(0, 256, (12, 16, 3), np.uint8)
    smooth_HW3 = cv2.resize(coarse_HW3, (width, height), interpolation=cv2.INTER_CUBIC)
    for extension, format in ((".jpg", "jpeg"), (".png", "png")):
        data = array.array("B", cv2.imencode(extension, smooth_HW3)[1].tobytes())
        found[format] = CompressedImage(format=format, data=data)
    return found


def milliseconds(work: Callable[[], object], yardstick: Callable[[], object], seconds: float) -> tuple[float, float]:
    """Median time of each of the two, measured alternately, so that other load slows both down equally."""
    times: tuple[list[float], list[float]] = [], []
    deadline = time.perf_counter() + seconds
    while time.perf_counter() < deadline or len(times[0]) < LEAST_ROUNDS:
        for timed, kept in zip((work, yardstick), times, strict=True):
            began = time.perf_counter()
            timed()
            kept.append(1e3 * (time.perf_counter() - began))
    return statistics.median(times[0]), statistics.median(times[1])


def run(args: argparse.Namespace) -> None:
    if min(args.width, args.height) < 4 or args.width % 2 or args.height % 2:
        raise UserError(
            f"--width {args.width} --height {args.height}: give even numbers from 4, which every encoding allows"
        )
    cv2.setNumThreads(1)
    bgr_HW3 = np.zeros((args.height, args.width, 3), np.uint8)
    print(f"{args.width}x{args.height}, OpenCV {cv2.__version__}, one thread")
    print(f"{'encoding':<14}{'ms a frame':>12}{'cvtColor ms':>13}{'times':>8}")
    for name, message in camera_messages(args.width, args.height, args.padding).items():
        ours, theirs = milliseconds(
            lambda message=message: decode_image(message),
            lambda: cv2.cvtColor(bgr_HW3, cv2.COLOR_BGR2RGB),
            args.seconds,
        )
        print(f"{name:<14}{ours:>12.3f}{theirs:>13.3f}{ours / theirs:>8.2f}", flush=True)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--width", type=int, default=640)
    parser.add_argument("--height", type=int, default=480)
    parser.add_argument("--padding", type=int, default=0, help="pixels of padding after each row")
    parser.add_argument("--seconds", type=float, default=0.2, help="for each encoding")
    args = parser.parse_args(arguments)
    return exit_code(lambda: run(args))


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
"""Which damage to a JPEG's compressed data the decoder detects, on real images; OpenCV alone decodes all of them.

python benchmarks/damaged_jpegs.py FOLDER [--every 5] [--seed 0]

Each JPEG of the folder is damaged at a random place in each way; the headers and the end marker stay. Prints the share
that was refused, also for undamaged images (where it must be 0).
"""

from __future__ import annotations

import argparse
import array
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
from sensor_msgs.msg import CompressedImage

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # runs from a checkout that is not installed, too

from transposenet_core.command_line import exit_code
from transposenet_core.encoded_images.jpeg_stream import read_jpeg
from transposenet_core.errors import UserError
from transposenet_core.progress import ProgressBar
from transposenet_ros.decoding.image_decoding import DecodeError, decode_image

# Takes scan data and a generator, returns damaged scan data.
Damage = Callable[[bytes, np.random.Generator], bytes]


def lose(count: int) -> Damage:
    def damage(scan: bytes, random: np.random.Generator) -> bytes:
        at = int(random.integers(len(scan) - count))
        return scan[:at] + scan[at + count :]

    return damage


def overwrite(count: int, noise: bool) -> Damage:
    def damage(scan: bytes, random: np.random.Generator) -> bytes:
        at = int(random.integers(len(scan) - count))
        other = random.integers(0, 255, count, np.uint8).tobytes() if noise else bytes(count)
        return scan[:at] + other + scan[at + count :]

    return damage


def flip_bit(scan: bytes, random: np.random.Generator) -> bytes:
    at = int(random.integers(len(scan)))
    return scan[:at] + bytes([scan[at] ^ 1 << int(random.integers(8))]) + scan[at + 1 :]


def end_early(scan: bytes, random: np.random.Generator) -> bytes:
    return scan[: int(len(scan) * random.uniform(0.02, 0.98))]


DAMAGES: dict[str, Damage] = {
    "none": lambda scan, random: scan,
    "data end early, 2 to 98 %": end_early,
    "1400 bytes lost": lose(1400),
    "1400 bytes zero": overwrite(1400, noise=False),
    "1400 bytes noise": overwrite(1400, noise=True),
    "100 bytes lost": lose(100),
    "10 bytes lost": lose(10),
    "one bit flipped": flip_bit,
}


def is_refused(data: bytes) -> bool:
    try:
        decode_image(CompressedImage(format="jpeg", data=array.array("B", data)))
    except DecodeError:
        return True
    return False


def run(args: argparse.Namespace) -> None:
    files = sorted(path for path in args.folder.glob("*") if path.suffix.lower() in {".jpg", ".jpeg"})[:: args.every]
    if not files:
        raise UserError(f"{args.folder} has no .jpg or .jpeg file; give a folder with camera images")
    random = np.random.default_rng(args.seed)
    refused = dict.fromkeys(DAMAGES, 0)
    for file in ProgressBar(files, unit="image"):
        data = file.read_bytes()
        end = read_jpeg(data).segment_ends[-1]
        begin = data.rindex(b"\xff\xda", 0, end)
        begin += 2 + int.from_bytes(data[begin + 2 : begin + 4], "big")
        for name, damage in DAMAGES.items():
            refused[name] += is_refused(data[:begin] + damage(data[begin:end], random) + data[end:])
    print(f"{len(files)} images\n{'damage':<28}{'refused':>8}")
    for name, count in refused.items():
        print(f"{name:<28}{count / len(files):>8.1%}")


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="folder of JPEG files, at least 2 kB each")
    parser.add_argument("--every", type=int, default=1, help="take every N-th file")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args(arguments)
    return exit_code(lambda: run(args))


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
"""The cost of Bayesian PoseNet's dropout samples, compared with the one backbone pass that they share.

python benchmarks/dropout_samples.py [--samples 40 200] [--sizes 224x224 96x128] [--repeats 20]

Milliseconds of CPU time of one core, which other load on the machine disturbs less than wall-clock time.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # runs from a checkout that is not installed, too

from transposenet_core.models import build_model


def milliseconds(work: Callable[[], object], repeats: int) -> float:
    """The median of `repeats` runs, after two warm-up runs."""
    times = []
    for _ in range(repeats + 2):
        started = time.process_time()
        work()
        times.append(1e3 * (time.process_time() - started))
    return statistics.median(times[2:])


@torch.inference_mode()
def row(size: str, samples: int, repeats: int) -> str:
    height, width = map(int, size.split("x"))
    network = build_model("bayesian_posenet", image_size=(height, width), samples=samples).eval()
    plain = build_model("posenet", image_size=(height, width)).eval()
    image, pooled = torch.rand(1, 3, height, width), torch.rand(1, 1024)
    whole, posenet, output = (
        milliseconds(lambda: network(image), repeats),
        milliseconds(lambda: plain(image), repeats),
        milliseconds(lambda: network.regressor.output(pooled, pooled), repeats),
    )
    return f"{size:>9}{samples:>9}{whole:>18.1f}{posenet:>11.1f}{output:>14.2f}{output / whole:>8.0%}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, nargs="+", default=[40, 200])
    parser.add_argument("--sizes", nargs="+", default=["224x224", "96x128"])
    parser.add_argument("--repeats", type=int, default=20)
    args = parser.parse_args()
    torch.set_num_threads(1)
    print("     size  samples  bayesian_posenet    posenet   the samples   share   (ms a frame)")
    for size in args.sizes:
        for samples in args.samples:
            print(row(size, samples, args.repeats), flush=True)


if __name__ == "__main__":
    main()

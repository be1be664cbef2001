#!/usr/bin/env python3
"""How far a network pass is from what the processor can do: its arithmetic and bytes against peaks measured here.

python benchmarks/machine_limits.py [--threads 2] [--seconds 2]

The peaks are those of the same runtime: the fastest of several products of matrices by OpenVINO in float32 and, where
the processor has it, bfloat16, and a copy of memory that no cache holds. A pass at these peaks would take the time of
its arithmetic, or that of reading its weights once from memory where that is longer (they stay in the cache where they
fit). Operations are counted by torch of the network as it is exported, attention included; a multiplication and its
addition are two.
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # runs from a checkout that is not installed, too

from benchmarks import markdown
from benchmarks.latency import has_bfloat16, made_models
from transposenet_core.backends.onnx_file import onnx_file
from transposenet_core.backends.openvino_backend import PRECISIONS, OpenVinoBackend
from transposenet_core.command_line import exit_code
from transposenet_core.errors import UserError
from transposenet_core.scene_model import SceneModel

ROWS, SIDES = (256, 1024, 4096), (256, 1024, 2048)  # of the left matrix; of the right one, which is square
COPIED_BYTES = 2**28


def median_s(work: Callable[[], object], seconds: float) -> float:
    """Of as many calls as fit, after three."""
    for _ in range(3):
        work()
    times, end = [], time.perf_counter() + seconds
    while time.perf_counter() < end:
        before = time.perf_counter()
        work()
        times.append(time.perf_counter() - before)
    return float(np.median(times))


def peak_operations(precision: str, threads: int, seconds: float) -> float:
    """Operations per second of the fastest product of matrices."""
    shapes = [(rows, side) for rows in ROWS for side in SIDES]
    return max(_product(precision, threads, seconds / len(shapes), *shape) for shape in shapes)


def _product(precision: str, threads: int, seconds: float, rows: int, side: int) -> float:
    import openvino
    from openvino import opset13 as operations

    left = operations.parameter([rows, side], np.float32)
    weights = operations.constant(np.random.default_rng(0).normal(size=(side, side)).astype(np.float32))
    model = openvino.Model([operations.matmul(left, weights, False, False)], [left], "product")
    settings: dict[str, Any] = {"INFERENCE_PRECISION_HINT": PRECISIONS[precision], "INFERENCE_NUM_THREADS": threads}
    request = openvino.Core().compile_model(model, "CPU", settings | {"PERFORMANCE_HINT": "LATENCY"})
    request = request.create_infer_request()
    matrix = np.random.default_rng(1).normal(size=(rows, side)).astype(np.float32)
    return 2 * rows * side**2 / median_s(lambda: request.infer({0: matrix}, share_inputs=True), seconds)


def bytes_per_second(seconds: float) -> float:
    """Read and written by a copy, on as many threads as torch has."""
    source = torch.zeros(COPIED_BYTES // 4)
    target = torch.empty_like(source)
    return 2 * COPIED_BYTES / median_s(lambda: target.copy_(source), seconds)


@torch.inference_mode()
def operations_of(model: SceneModel) -> int:
    """Operations of one pass of the part of the network that runtimes run."""
    height, width = model.preprocessing.image_size
    # The counter knows the products of attention only where it is computed by them.
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        model.network.convertible(torch.zeros(1, 3, height, width))
    return int(counter.get_total_flops())


def run(args: argparse.Namespace) -> None:
    if args.seconds <= 0 or args.threads <= 0:
        raise UserError(f"--seconds {args.seconds:g} and --threads {args.threads} are to be more than 0")
    for needed in ("onnx", "openvino"):
        if importlib.util.find_spec(needed) is None:
            raise UserError(f"the Python package {needed} is not installed; pip install {needed}")
    torch.set_num_threads(args.threads)
    precisions = ["float32"] + ["bfloat16"] * has_bfloat16()
    peaks = {precision: peak_operations(precision, args.threads, args.seconds) for precision in precisions}
    memory = bytes_per_second(args.seconds)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for name, path in made_models(Path(folder)).items():
            model = SceneModel.load(path)
            operations = operations_of(model)
            size = model.preprocessing.image_size
            image_13HW = np.random.default_rng(0).normal(size=(1, 3, *size)).astype(np.float32)
            weights = sum(p.numel() for p in model.network.parameters())
            for precision in precisions:
                back_end = OpenVinoBackend(model.network, onnx_file(model, path), args.threads, precision)
                taken = median_s(partial(back_end._run, image_13HW), args.seconds)
                least = operations / peaks[precision]
                moved = weights * (4 if precision == "float32" else 2) / memory
                rows.append(
                    (
                        f"{name}, {precision}",
                        f"{operations / 1e9:.2f}",
                        f"{weights / 1e6:.1f}",
                        f"{1e3 * least:.2f}",
                        f"{1e3 * moved:.2f}",
                        f"{1e3 * taken:.2f}",
                        f"{max(least, moved) / taken:.0%}",
                    )
                )
    shown = ", ".join(f"{peak / 1e9:.0f} GFLOP/s in {precision}" for precision, peak in peaks.items())
    print(f"{args.threads} threads: {shown}; copies {memory / 1e9:.1f} GB/s")
    header = ("network", "GFLOP", "weights, M", "least ms, arithmetic", "least ms, weights", "taken ms", "of the limit")
    print(markdown.table(header, rows))


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="A network pass against the limits of this processor.")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=2.0, help="of each measurement")
    return exit_code(lambda: run(parser.parse_args(arguments)))


if __name__ == "__main__":
    sys.exit(main())

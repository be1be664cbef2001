#!/usr/bin/env python3
"""From a published image to the pose that another process receives: what each stage of the running node takes.

python benchmarks/message_to_pose.py --yardstick reference_speed.py [--rates 30 120] [--seconds 8] [--threads 2]
    [--networks scene_coordinates fast] [--json FILE]

The real node as a process, driven through DDS with 640x480 images (rgb8) at each rate: the demo's scene model, and
`transposenet_fast` at 224x224 with random weights. Medians of milliseconds; `transport` to `publish` as the node
measures them, `return` is the rest: pose to receiver, by DDS and the receiver's own executor. Of `inference`,
`prepare` (resize, normalise), `network` and `pose` are measured in this process at the same pace, with the same back
end. The yardstick runs before and after, with as many threads; the last column is its median divided by that of the
whole, from image to pose.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # runs from a checkout that is not installed, too

from benchmarks import markdown
from benchmarks.driven_node import driven_node
from benchmarks.latency import Row, made_models
from benchmarks.node_under_load import image, stream
from benchmarks.yardstick import load_yardstick
from transposenet_core.atomic_files import write_atomically
from transposenet_core.backends.contract import ConvertedBackend
from transposenet_core.command_line import exit_code
from transposenet_core.localizer import Localizer
from transposenet_ros.replay.processes import free_domain

NETWORKS = ("scene_coordinates", "fast", "exact")  # of benchmarks/latency.py
NODE_STAGES = ("transport", "executor", "waiting", "decode", "inference", "publish")
PARTS = ("prepare", "network", "pose")
SETTLE_FRAMES = 20


def stage_latencies(
    model: Path, domain: int, rates: list[float], seconds: float, threads: int
) -> dict[float, dict[str, Any]]:
    """Of the stages and of the whole at each rate; NaN where DDS gives no times."""
    found, message = {}, image(480, 640)
    with driven_node(model, domain, torch_threads=threads) as node:
        for rate in rates:
            node.restart()
            ages_ms: list[float] = []
            node.on_pose = lambda pose, ages_ms=ages_ms: ages_ms.append(  # type: ignore[misc]
                time.time_ns() * 1e-6 - pose.header.stamp.sec * 1e3 - pose.header.stamp.nanosec * 1e-6
            )
            stream(node, message, SETTLE_FRAMES, 1.0)
            ages_ms.clear()
            sent = stream(node, message, rate, seconds)
            values = node.values()
            stages = {stage: float(values.get(f"{stage}_p50_ms", "nan")) for stage in NODE_STAGES}
            whole, p95 = (float(np.percentile(ages_ms, percent)) for percent in (50, 95))
            found[rate] = {
                **stages,
                "return": whole - float(np.nansum(list(stages.values()))),
                "whole": whole,
                "p95": p95,
                "superseded": int(values.get("dropped_superseded", 0)) / sent,
                "backend": values["backend"],
            }
    return found


def parts(model: Path, rate: float, seconds: float, threads: int) -> dict[str, float]:
    """What makes up the inference of the model, in this process, an image every 1 / rate s."""
    torch.set_num_threads(threads)
    localizer, image_HW3 = Localizer(model), np.random.default_rng(0).integers(0, 256, (480, 640, 3), np.uint8)
    preprocessing, backend, times = localizer.scene_model.preprocessing, localizer.backend, []
    began = time.perf_counter()
    with torch.inference_mode():
        for k in range(max(SETTLE_FRAMES + 1, round(rate * seconds))):
            time.sleep(max(0.0, began + k / rate - time.perf_counter()))
            marks = [time.perf_counter()]
            image_13HW = preprocessing(image_HW3)
            marks.append(time.perf_counter())
            if isinstance(backend, ConvertedBackend):
                outputs = [torch.from_numpy(array) for array in backend._one(np.ascontiguousarray(image_13HW.numpy()))]
                marks.append(time.perf_counter())
                localizer._network.finished(dict(zip(backend._names, outputs, strict=True)))
            else:
                backend(image_13HW)
                marks.append(time.perf_counter())
            marks.append(time.perf_counter())
            times.append(np.diff(marks))
    return dict(zip(PARTS, 1e3 * np.median(times[SETTLE_FRAMES:], axis=0), strict=True))


def reference_ms(yardstick: Path, threads: int, seconds: float) -> list[float]:
    """The times of the yardstick's passes, in a process of its own."""
    row = Row("reference", ["reference", str(yardstick), str(threads)])
    try:
        while row.spent < seconds:
            row.measure()
    finally:
        row.close()
    return [1e3 * each for each in row.seconds_N]


def run(args: argparse.Namespace) -> None:
    load_yardstick(args.yardstick)  # a wrong file is reported before anything is started
    rows, figures = [], []
    with tempfile.TemporaryDirectory() as folder, free_domain() as domain:
        models = made_models(Path(folder))
        times_ms = reference_ms(args.yardstick, args.threads, args.seconds / 2)
        for name in args.networks:
            for rate, found in stage_latencies(models[name], domain, args.rates, args.seconds, args.threads).items():
                found |= parts(models[name], rate, args.seconds / 2, args.threads)
                figures.append({"model": name, "rate_hz": rate, **found})
        times_ms += reference_ms(args.yardstick, args.threads, args.seconds / 2)
    reference = float(np.median(times_ms))
    columns = ("transport", "executor", "waiting", "decode", "inference", *PARTS, "publish", "return", "whole", "p95")
    for each in figures:
        cells = [f"{each[column]:.2f}" for column in columns]
        title = f"{each['model']}, {each['backend']}, {each['rate_hz']:g} Hz"
        rows.append((title, *cells, f"{each['superseded']:.1%}", f"{reference / each['whole']:.1f}"))
    print(f"{args.threads} threads, 640x480 rgb8; the reference takes {reference:.1f} ms")
    print(markdown.table(("ms, medians", *columns, "superseded", "times the reference"), rows))
    if args.json:
        with write_atomically(args.json) as path:
            path.write_text(json.dumps({"reference_ms": reference, "rows": figures}, indent=1) + "\n")


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="From a published image to the pose that another process receives.")
    parser.add_argument("--yardstick", required=True, type=Path, metavar="FILE", help="the reference network")
    parser.add_argument("--networks", nargs="+", default=["scene_coordinates", "fast"], choices=NETWORKS)
    parser.add_argument("--rates", nargs="+", type=float, default=[30.0, 120.0], metavar="HZ")
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", type=Path, metavar="FILE")
    return exit_code(lambda: run(parser.parse_args(arguments)))


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
"""How time and memory grow with what a user has more of: pixels, images at once, training poses, scenes, frames.

python benchmarks/growth.py [--only KIND ...] [--out DIR]

Each point runs in a process of its own, so that its peak of memory is its own; one thread. `growth.json` and
`growth.png` in DIR (docs/growth.png is kept so), and a table with the exponent of each curve between its last two
points: 1 is linear. Weights are random.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # runs from a checkout that is not installed, too

from benchmarks import markdown
from benchmarks.peak_memory import peak_megabytes
from transposenet_core.atomic_files import write_atomically
from transposenet_core.command_line import exit_code
from transposenet_core.models import build_model
from transposenet_core.progress import ProgressBar

LEAST_S = 1.0  # that a measurement takes
Point = dict[str, float]


def repeated(work: Callable[[], object]) -> float:
    """Median seconds of a call."""
    times, began = [], time.perf_counter()
    work()
    while len(times) < 3 or time.perf_counter() - began < LEAST_S:
        before = time.perf_counter()
        work()
        times.append(time.perf_counter() - before)
    return float(np.median(times))


def apart(work: Callable[[], object]) -> None:
    """Do it in a forked process: its memory does not count."""
    child = os.fork()
    if child == 0:
        try:
            work()
        finally:
            os._exit(0 if sys.exc_info()[0] is None else 1)
    if os.waitpid(child, 0)[1]:
        raise RuntimeError("a preparation failed; see above")


def scene_coordinates(height: int, width: int) -> torch.nn.Module:
    camera = (0.82 * width, 0.82 * width, width / 2, height / 2)
    return build_model("scene_coordinates", image_size=(height, width), camera=camera).eval()


def pixels(scale: int) -> Point:
    """A pass of scene_coordinates on `scale` times 96x128 pixels, by OpenVINO."""
    side = math.sqrt(scale)
    height, width = 16 * round(96 * side / 16), 16 * round(128 * side / 16)
    return _pass_by_openvino(scene_coordinates(height, width), (height, width))


def exact_pixels(side: int) -> Point:
    """A pass of transposenet on side x side pixels, by OpenVINO."""
    return _pass_by_openvino(build_model("transposenet", image_size=(side, side)).eval(), (side, side)) | {
        "x": side * side
    }


def _pass_by_openvino(network: torch.nn.Module, size: tuple[int, int]) -> Point:
    from transposenet_core.backends.onnx_file import exported
    from transposenet_core.backends.openvino_backend import OpenVinoBackend

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "network.onnx"
        apart(lambda: path.write_bytes(exported(network, size)))
        back_end = OpenVinoBackend(network, path, 1)
        image_13HW = torch.zeros(1, 3, *size)
        return {"seconds": repeated(lambda: back_end(image_13HW)), "x": size[0] * size[1]}


def batch(count: int) -> Point:
    """A pass of scene_coordinates on `count` images at once, by torch."""
    network, image_B3HW = scene_coordinates(96, 128), torch.zeros(count, 3, 96, 128)
    return {"seconds": repeated(lambda: network(image_B3HW))}


def training_poses(count: int) -> Point:
    """Loading a scene model that knows `count` frames."""
    from transposenet_core.preprocessing import Preprocessing
    from transposenet_core.scene_model import HeldOutError, MappedScene, SceneModel
    from transposenet_core.scene_model.known_frames import KnownFrames

    rng = np.random.default_rng(0)
    orientations_N4 = rng.normal(size=(count, 4))
    orientations_N4 /= np.linalg.norm(orientations_N4, axis=1, keepdims=True)
    names = tuple(f"seq-01/frame-{k:06d}.jpg" for k in range(count))
    frames = KnownFrames(names, np.zeros(count, np.uint8), rng.normal(size=(count, 3)), orientations_N4)
    held_out = HeldOutError((1.0,) * 3, (1.0,) * 3, "nothing")
    scene = MappedScene("made", "map", held_out, frames=frames)
    options = {"image_size": [96, 128], "camera": [105.0, 105.0, 64.0, 48.0]}
    network = scene_coordinates(96, 128)
    with tempfile.TemporaryDirectory() as folder:
        model = SceneModel("scene_coordinates", options, Preprocessing(96, (96, 128)), network, (scene,))
        apart(lambda: model.save(Path(folder) / "m"))
        return {"seconds": repeated(lambda: SceneModel.load(Path(folder) / "m"))}


def retrieval(count: int) -> Point:
    """A pose by retrieval among `count` training images."""
    network = build_model("retrieval", image_size=(96, 128))
    rng = np.random.default_rng(0)
    descriptors_ND = rng.normal(size=(count, network.descriptor_width)).astype(np.float32)
    descriptors_ND /= np.linalg.norm(descriptors_ND, axis=1, keepdims=True)
    network.descriptors_ND = torch.from_numpy(descriptors_ND)
    network.positions_N3, network.orientations_N4 = torch.rand(count, 3), torch.eye(4)[:1].repeat(count, 1)
    image_13HW = torch.from_numpy(rng.normal(size=(1, 3, 96, 128)).astype(np.float32))
    return {"seconds": repeated(lambda: network.eval()(image_13HW))}


def scenes(count: int) -> Point:
    """A pass of the transformer of several scenes, by torch."""
    network = build_model("multiscene_transformer", image_size=(96, 128), scenes=count).eval()
    image_13HW = torch.zeros(1, 3, 96, 128)
    return {"seconds": repeated(lambda: network(image_13HW))}


def evaluated(count: int) -> Point:
    """Evaluating `count` frames, baselines included; as many train."""
    import cv2

    from transposenet_core.evaluation.offline import evaluate_offline
    from transposenet_core.formats import load_scene
    from transposenet_core.localizer import Localizer

    with tempfile.TemporaryDirectory() as folder:
        root, rng = Path(folder) / "scene", np.random.default_rng(0)
        for number, split in ((1, "Train"), (2, "Test")):
            (root / f"seq-{number:02d}").mkdir(parents=True)
            (root / f"{split}Split.txt").write_text(f"sequence{number}\n")
            for k in range(count):
                T_map_camera, name = np.eye(4), root / f"seq-{number:02d}" / f"frame-{k:06d}"
                T_map_camera[:3, 3] = k / count, number / 10, 0
                image_HW3 = cv2.resize(rng.integers(0, 256, (6, 8, 3), np.uint8), (640, 480))
                cv2.imwrite(f"{name}.color.jpg", image_HW3)
                np.savetxt(f"{name}.pose.txt", T_map_camera)
        localizer, scene = Localizer(ROOT / "demo" / "model", "cpu", "torch"), load_scene(f"7scenes:{root}")
        began = time.perf_counter()
        evaluate_offline(localizer, scene)
        return {"seconds": time.perf_counter() - began}


# Kind: what x is, the function of a point, its values.
KINDS: dict[str, tuple[str, Callable[[int], Point], tuple[int, ...]]] = {
    "pixels": ("pixels, scene_coordinates", pixels, (1, 2, 4, 8, 16)),
    "exact_pixels": ("pixels, transposenet", exact_pixels, (112, 160, 224, 320, 448)),
    "batch": ("images at once, scene_coordinates", batch, (1, 4, 16, 64)),
    "training_poses": ("training poses, loading", training_poses, (300, 3000, 30_000, 100_000)),
    "retrieval": ("training images, retrieval", retrieval, (300, 3000, 10_000, 30_000)),
    "scenes": ("scenes, transformer of several", scenes, (1, 4, 16, 64)),
    "evaluated": ("frames evaluated", evaluated, (50, 200, 800)),
}


def measured(kind: str, value: int) -> Point:
    """One point, in a process of its own."""
    command = [sys.executable, str(Path(__file__).resolve()), "point", kind, str(value)]
    found = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip().splitlines()[-1]
    point: Point = json.loads(found)
    return {"x": value} | point


def draw(path: Path, curves: dict[str, list[Point]]) -> None:
    """Milliseconds beside a linear line, and below them the peak of memory."""
    figure = Figure(figsize=(2.7 * len(curves), 5.4), dpi=90, layout="constrained")
    axes_RC = figure.subplots(2, len(curves), squeeze=False)
    for column, (kind, points) in enumerate(curves.items()):
        title, x_P = KINDS[kind][0].replace(", ", "\n"), np.array([point["x"] for point in points])
        for axes, name, scale in zip(axes_RC[:, column], ("seconds", "peak_mb"), (1e3, 1.0), strict=True):
            y_P = scale * np.array([point[name] for point in points])
            axes.plot(x_P, y_P, "o-", color="#c1272d")
            axes.set_xscale("log")
            axes.set_xticks(x_P[:: max(len(x_P) // 2, 1)], labels=map(_short, x_P[:: max(len(x_P) // 2, 1)]))
            axes.xaxis.set_minor_formatter(NullFormatter())
            axes.grid(alpha=0.3)
            if name == "seconds":
                axes.plot(x_P, y_P[-1] * x_P / x_P[-1], "--", color="grey", label="linear")
                axes.set_yscale("log")
                axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: _short(y)))
                axes.yaxis.set_minor_formatter(NullFormatter())
                axes.legend(frameon=False, loc="lower right", fontsize=8)
                axes.set_title(title, fontsize=9)
            else:
                axes.set_ylim(0, 1.15 * y_P.max())
    axes_RC[0][0].set_ylabel("ms")
    axes_RC[1][0].set_ylabel("peak memory of the process, MB")
    with write_atomically(path) as temporary:
        figure.savefig(temporary, format="png")


def _short(value: float) -> str:
    return f"{value / 1000:.3g} k" if value >= 1000 else f"{value:.3g}"


def run(args: argparse.Namespace) -> None:
    jobs = [(kind, value) for kind in args.only for value in KINDS[kind][2]]
    curves: dict[str, list[Point]] = {kind: [] for kind in args.only}
    for kind, value in ProgressBar(jobs, total=len(jobs), unit="point"):
        curves[kind].append(measured(kind, value))
    rows = []
    for kind, points in curves.items():
        first, before, last = points[0], points[-2], points[-1]
        exponent = math.log(last["seconds"] / before["seconds"]) / math.log(last["x"] / before["x"])
        sizes = [f"{point['x']:g}: {1e3 * point['seconds']:.1f} ms" for point in (first, last)]
        rows.append((KINDS[kind][0], *sizes, f"{exponent:.2f}", f"{first['peak_mb']:.0f}", f"{last['peak_mb']:.0f}"))
    print(markdown.table(("against", "smallest", "largest", "exponent", "MB, smallest", "MB, largest"), rows))
    args.out.mkdir(parents=True, exist_ok=True)
    with write_atomically(args.out / "growth.json") as path:
        path.write_text(json.dumps(curves, indent=1) + "\n")
    draw(args.out / "growth.png", curves)


def main(arguments: list[str] | None = None) -> int:
    arguments = sys.argv[1:] if arguments is None else arguments
    if arguments[:1] == ["point"]:
        torch.set_num_threads(1)
        torch.manual_seed(0)
        with torch.inference_mode():
            point = KINDS[arguments[1]][1](int(arguments[2]))
        print(json.dumps(point | {"peak_mb": peak_megabytes()}))
        return 0
    parser = argparse.ArgumentParser(description="How time and memory grow.")
    parser.add_argument("--only", nargs="+", choices=KINDS, default=list(KINDS), metavar="KIND")
    parser.add_argument("--out", type=Path, default=Path("growth"), metavar="DIR")
    return exit_code(lambda: run(parser.parse_args(arguments)))


if __name__ == "__main__":
    sys.exit(main())

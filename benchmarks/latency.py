#!/usr/bin/env python3
"""How long a network pass takes by each back end, as a ratio to the papers' network in the same run on one machine.

python benchmarks/latency.py --yardstick reference_speed.py [--seconds 3] [--threads 2] [--json FILE]

The yardstick is a Python file with the reference network `Net(False)` (whole backbone, explicit attention, float32).
Each row runs in a process of its own, since threads of one runtime that wait actively slow the others down, and all
take turns, so that other load slows all of them alike. A pass is the whole way from a normalised image to a pose with
its covariance. Weights are random but for the demo's scene_coordinates: they do not change the time.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import multiprocessing
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import forkserver
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # runs from a checkout that is not installed, too

from benchmarks import markdown
from benchmarks.yardstick import load_yardstick
from transposenet_core.atomic_files import write_atomically
from transposenet_core.command_line import exit_code
from transposenet_core.errors import UserError

SLOT_S = 0.25  # of one row; at least one pass
WARM_UP = 3
WHOLE = ["image.smaller_edge=256", "image.height=224", "image.width=224"]
PRESETS = {"exact": ("transposenet_indoor", []), "fast": ("transposenet_fast", WHOLE)}
RUNTIMES = ("torch", "onnxruntime", "openvino")
# Each row is forked from one process that has imported torch, so starting them takes seconds, and run nothing in it.
PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["benchmarks.latency_imports"])


class Row:
    """One variant in its process: `measure` lets it run for a moment and collects the times of its passes."""

    def __init__(self, name: str, command: list[str]) -> None:
        self.name, self.seconds_N, self.spent = name, [], 0.0
        self._end, other = PROCESSES.Pipe()
        self.process = PROCESSES.Process(target=worker, args=(other, *command), daemon=True)
        self.process.start()
        other.close()
        self._received()

    def measure(self) -> None:
        self._end.send("measure")
        times = self._received()
        self.seconds_N += times
        self.spent += sum(times)

    def close(self) -> None:
        self._end.close()
        self.process.join()

    def figures(self) -> dict[str, Any]:
        milliseconds_N = 1000 * np.array(self.seconds_N)
        median, p10, p99 = (float(np.percentile(milliseconds_N, percent)) for percent in (50, 10, 99))
        return {"name": self.name, "device": "cpu", "batch": 1, "median_ms": median, "p10_ms": p10, "p99_ms": p99}

    def _received(self) -> Any:
        try:
            return self._end.recv()
        except EOFError:
            self.process.join()
            code = self.process.exitcode
            raise UserError(f"the process of '{self.name}' ended with exit code {code}; see above") from None


def rows_of(models: dict[str, Path], yardstick: Path, threads: int) -> list[Row]:
    """The reference, then each model by each runtime that is installed, with bfloat16 where the processor has it."""
    wanted = [("reference", ["reference", str(yardstick), str(threads)])]
    for name, folder in models.items():
        for runtime in RUNTIMES:
            if runtime == "torch" or importlib.util.find_spec(runtime):
                command = ["model", str(folder), runtime, "float32", str(threads)]
                wanted.append((f"{name} {runtime} float32", command))
        if has_bfloat16():
            command = ["model", str(folder), "openvino", "bfloat16", str(threads)]
            wanted.append((f"{name} openvino bfloat16", command))
    with ThreadPoolExecutor(2) as pool:  # all at once would take twice as long
        return list(pool.map(lambda each: Row(*each), wanted))


def has_bfloat16() -> bool:
    """Whether OpenVINO is installed and finds bfloat16 in this processor."""
    if importlib.util.find_spec("openvino") is None:
        return False
    import openvino

    return "BF16" in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


def made_models(folder: Path) -> dict[str, Path]:
    """Scene models with random weights of the presets, and the demo's, all exported."""
    import torch

    from transposenet_core.backends.contract import BackendError
    from transposenet_core.backends.onnx_file import onnx_file
    from transposenet_core.models import build_model
    from transposenet_core.scene_model import HeldOutError, MappedScene, SceneModel
    from transposenet_core.training.config_reading import load_config
    from transposenet_core.training.network import model_options, preprocessing_of
    from transposenet_core.training.stages import plan

    models = {}
    for name, (preset, overrides) in PRESETS.items():
        config = load_config(ROOT / "config" / "train" / f"{preset}.yaml", overrides)
        options = model_options(config, plan(config)[-1], None, 1)
        torch.manual_seed(0)
        network = build_model(config.model.name, **options).eval()
        scene = MappedScene("made", "map", HeldOutError((1.0,) * 3, (1.0,) * 3, "nothing"))
        models[name] = folder / name
        preprocessing = preprocessing_of(config)
        image_P3HW = torch.randint(0, 256, (3, 3, *preprocessing.image_size), dtype=torch.uint8)
        made = SceneModel(config.model.name, options, preprocessing, network, (scene,), parity_image_P3HW=image_P3HW)
        made.save(folder / name)
    models["scene_coordinates"] = ROOT / "demo" / "model"
    for path in models.values():
        try:
            onnx_file(SceneModel.load(path), path)
        except BackendError as error:
            print(f"note: {path.name} {error}", file=sys.stderr)
    return models


def worker(end: Any, kind: str, *arguments: str) -> None:
    """The process of a row: ready when it sends its first message; then it answers each with the times of a turn."""
    import torch

    *rest, threads = arguments
    torch.set_num_threads(int(threads))
    with torch.inference_mode():
        if kind == "reference":
            network: Callable[[Any], Any] = load_yardstick(Path(rest[0])).Net(False).eval()
            image_13HW = torch.randn(1, 3, 224, 224)
        else:
            network, image_13HW = _backend(Path(rest[0]), rest[1], rest[2])
        for _ in range(WARM_UP):
            network(image_13HW)
        end.send("ready")
        while _asked(end):
            times: list[float] = []
            while sum(times) < SLOT_S:
                before = time.perf_counter()
                network(image_13HW)
                times.append(time.perf_counter() - before)
            end.send(times)


def _asked(end: Any) -> bool:
    try:
        return bool(end.recv())
    except EOFError:  # closed
        return False


def _backend(folder: Path, runtime: str, precision: str) -> tuple[Callable[[Any], Any], Any]:
    """A back end without the comparison with torch that `Localizer` makes at its start."""
    import torch

    from transposenet_core.backends.contract import TorchBackend
    from transposenet_core.backends.onnx_file import onnx_file
    from transposenet_core.backends.onnxruntime_backend import OnnxRuntimeBackend
    from transposenet_core.backends.openvino_backend import OpenVinoBackend
    from transposenet_core.scene_model import SceneModel

    model = SceneModel.load(folder)
    image_13HW = model.preprocessing(np.random.default_rng(0).integers(0, 256, (480, 640, 3), dtype=np.uint8))
    if runtime == "torch":
        return TorchBackend(model.network.to(memory_format=torch.channels_last)), image_13HW
    path, threads = onnx_file(model, folder), torch.get_num_threads()
    if runtime == "onnxruntime":
        return OnnxRuntimeBackend(model.network, path, threads), image_13HW
    return OpenVinoBackend(model.network, path, threads, precision), image_13HW


def run(args: argparse.Namespace) -> None:
    load_yardstick(args.yardstick)  # a wrong file is reported before anything is started
    forkserver.ensure_running()  # imports while models are made
    with tempfile.TemporaryDirectory() as folder:
        rows = rows_of(made_models(Path(folder)), args.yardstick, args.threads)
        try:
            while any(row.spent < args.seconds for row in rows):
                for row in rows:
                    if row.spent < args.seconds:
                        row.measure()
        finally:
            for row in rows:
                row.close()
    figures = [row.figures() for row in rows]
    reference = figures[0]["median_ms"]
    print(f"{args.threads} threads, one image at a time, medians of {args.seconds:g} s each, in turns")
    cells = [
        (
            f["name"],
            f"{f['median_ms']:.1f}",
            f"{f['p10_ms']:.1f}",
            f"{f['p99_ms']:.1f}",
            f"{reference / f['median_ms']:.1f}",
        )
        for f in figures
    ]
    print(markdown.table(("network, back end", "median ms", "p10", "p99", "times the reference"), cells))
    if args.json:
        with write_atomically(args.json) as path:
            path.write_text(json.dumps(figures, indent=1) + "\n")


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Latency of a network pass by each back end.")
    parser.add_argument("--yardstick", required=True, type=Path, metavar="FILE", help="the reference network")
    parser.add_argument("--seconds", type=float, default=3.0, help="of each row")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", type=Path, metavar="FILE")
    return exit_code(lambda: run(parser.parse_args(arguments)))


if __name__ == "__main__":
    sys.exit(main())

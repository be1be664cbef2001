#!/usr/bin/env python3
"""How fast train.py trains, compared with the papers' network as its authors run it, in one run on one machine.

python benchmarks/training_throughput.py --yardstick reference_speed.py [--seconds 60] [--threads N] [--batch 8 ...]

The yardstick is a Python file with the reference network `Net(False)` (whole backbone, explicit attention, float32) and
`pose_loss`; its images are ready tensors on the device. Ours start from JPEG files of 640 x 480: the time of reading,
decoding and resizing them is included, spread over the preset's 300 epochs. Steps alternate; times are medians.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import cv2
import numpy as np
import torch

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # runs from a checkout that is not installed, too

from benchmarks.yardstick import load_yardstick
from transposenet_core.command_line import exit_code
from transposenet_core.geometry.pose import Pose
from transposenet_core.scene import PosedImage
from transposenet_core.training.batches import Batch, batches
from transposenet_core.training.checkpoint import State
from transposenet_core.training.config import TrainConfig
from transposenet_core.training.config_reading import load_config
from transposenet_core.training.data.pixels import load_pixels
from transposenet_core.training.data.scene_pixels import ScenePixels
from transposenet_core.training.distributed import World
from transposenet_core.training.network import build_network, make_repeatable, preprocessing_of
from transposenet_core.training.optimization import build_optimizer
from transposenet_core.training.stages import plan
from transposenet_core.training.step import EAGER_STEPS, TrainStep

PRESETS = ROOT / "config" / "train"
EPOCHS = 300
# Ours by row: what it is, preset, overrides.
FUSED = ["model.options.attention_dropout=0.0"]
WHOLE = ["image.smaller_edge=256", "image.height=224", "image.width=224"]
ROWS = (
    ("exact, as the paper has it", "transposenet_indoor", []),
    ("exact, fused attention", "transposenet_indoor", FUSED),
    ("exact, fused attention, bfloat16", "transposenet_indoor", [*FUSED, "precision=bfloat16"]),
    ("transposenet_fast, 224 x 224", "transposenet_fast", WHOLE),
    (
        "transposenet_fast, strided, 224 x 224",
        "transposenet_fast",
        [*WHOLE, "model.options.latents=0", "model.options.orientation_stride=2"],
    ),
    ("transposenet_fast, its preset", "transposenet_fast", []),
)


def make_images(folder: Path, count: int) -> list[PosedImage]:
    """JPEGs of 640 x 480 with as much detail as a room has."""
    random = np.random.default_rng(0)
    images = []
    for index in range(count):
        coarse = random.integers(0, 256, (60, 80, 3), dtype=np.uint8)
        path = folder / f"{index:03d}.jpg"
        cv2.imwrite(str(path), cv2.resize(coarse, (640, 480), interpolation=cv2.INTER_CUBIC))
        pose = Pose(random.normal(size=3), random.normal(size=4))
        images.append(PosedImage(path.name, path, pose, "train", "made", index / 30))
    return images


def reference_step(yardstick: ModuleType, batch: int, device: torch.device) -> Callable[[], None]:
    """A step as the papers' code does it: float32 without TF32, Adam one tensor after the other."""
    torch.manual_seed(0)
    network = yardstick.Net(False).to(device).train()
    weights = [torch.zeros((), device=device), torch.full((), -3.0, device=device)]
    s_x, s_q = (torch.nn.Parameter(weight) for weight in weights)
    optimizer = torch.optim.Adam([*network.parameters(), s_x, s_q], 1e-4, eps=1e-10, weight_decay=1e-4, foreach=False)
    image, label = torch.randn(batch, 3, 224, 224, device=device), torch.randn(batch, 7, device=device)

    def step() -> None:
        torch.set_float32_matmul_precision("highest")
        optimizer.zero_grad()
        yardstick.pose_loss(network(image), label, s_x, s_q).backward()
        optimizer.step()

    return step


def our_train_step(config: TrainConfig, images: list[PosedImage], device: torch.device) -> tuple[TrainStep, float]:
    """The step of train.py with its network and images, and the seconds per image that loading took."""
    make_repeatable(config)
    started = time.perf_counter()
    pixels = ScenePixels([load_pixels(images, preprocessing_of(config), threads=config.workers).to(device)])
    loading = (time.perf_counter() - started) / len(images)
    stage, world = plan(config)[0], World(device)
    network = build_network(config, stage, [images]).to(device, memory_format=torch.channels_last)
    stage.train_mode(network)
    loss = stage.build_loss(config, network).to(device)
    state = State(network, loss, build_optimizer(network, loss, stage, config.optimizer, device))
    return TrainStep(state, pixels, preprocessing_of(config), config, world), loading


def endless_batches(train_step: TrainStep) -> Iterator[Batch]:
    """Batches without end, the same ones at every call."""
    counts, size = train_step.pixels.counts, train_step.config.batch_size
    return (batch for epoch in range(10**9) for batch in batches(counts, size, 0, epoch, train_step.world))


def our_step(config: TrainConfig, images: list[PosedImage], device: torch.device) -> tuple[Callable[[], None], float]:
    """A step of train.py, one batch after the other, and the seconds per image that loading took."""
    train_step, loading = our_train_step(config, images, device)
    endless, rate = endless_batches(train_step), plan(config)[0].learning_rate

    def step() -> None:
        torch.set_float32_matmul_precision("high")
        train_step(next(endless), rate)

    return step, loading


def median_seconds(steps: dict[str, Callable[[], None]], seconds: float, device: torch.device) -> dict[str, float]:
    """Median time of each step, measured alternately, so that other load slows all down equally."""

    def timed(step: Callable[[], None], repeats: int) -> float:
        started = time.perf_counter()
        for _ in range(repeats):
            step()
        if device.type == "cuda":
            torch.cuda.synchronize()
        return (time.perf_counter() - started) / repeats

    repeats = {}
    for name, step in steps.items():
        timed(step, EAGER_STEPS + 2 if device.type == "cuda" else 1)  # until a graph is recorded
        repeats[name] = max(1, int(0.2 / timed(step, 1)))
    times: dict[str, list[float]] = {name: [] for name in steps}
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline or len(times["reference"]) < 3:
        for name, step in steps.items():
            times[name].append(timed(step, repeats[name]))
    return {name: statistics.median(values) for name, values in times.items()}


def run(args: argparse.Namespace) -> None:
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if args.threads:
        torch.set_num_threads(args.threads)
    yardstick = load_yardstick(args.yardstick)
    where = torch.cuda.get_device_name() if device.type == "cuda" else f"CPU, {torch.get_num_threads()} threads"
    print(f"{where}, torch {torch.__version__}; img/s includes loading, spread over {EPOCHS} epochs")
    with tempfile.TemporaryDirectory() as folder:
        for batch in args.batch:
            images = make_images(Path(folder), max(64, 2 * batch))
            compare(yardstick, batch, images, args.seconds, device)


def compare(yardstick: ModuleType, batch: int, images: list[PosedImage], seconds: float, device: torch.device) -> None:
    """One table: the reference and our rows at one batch size."""
    steps, loading = {"reference": reference_step(yardstick, batch, device)}, {"reference": 0.0}
    for name, preset, overrides in ROWS:
        config = load_config(PRESETS / f"{preset}.yaml", [f"batch_size={batch}", "device=auto", *overrides])
        steps[name], loading[name] = our_step(config, images, device)
    medians = median_seconds(steps, seconds, device)
    print(f"\nbatch {batch:<34}{'ms a step':>10}{'loading ms':>12}{'img/s':>9}{'times':>7}")
    speeds = {name: 1 / (medians[name] / batch + loading[name] / EPOCHS) for name in steps}
    for name, speed in speeds.items():
        print(
            f"  {name:<38}{1e3 * medians[name]:>10.1f}{1e3 * loading[name]:>12.2f}{speed:>9.1f}"
            f"{speed / speeds['reference']:>7.1f}",
            flush=True,
        )


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--yardstick", required=True, type=Path, help="Python file with the reference network")
    parser.add_argument(
        "--seconds", type=float, default=60.0, help="to measure for; each step is timed at least three times"
    )
    parser.add_argument("--threads", type=int, default=0, help="of the CPU; 0: torch's default")
    parser.add_argument("--batch", type=int, nargs="+", default=[8])
    args = parser.parse_args(arguments)
    return exit_code(lambda: run(args))


if __name__ == "__main__":
    sys.exit(main())

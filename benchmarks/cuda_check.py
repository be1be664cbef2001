#!/usr/bin/env python3
"""Does everything work on this CUDA machine? Four checks in at most ten minutes, no data set needed.

python benchmarks/cuda_check.py

training   a recorded CUDA graph against eager steps: equal losses and weights; NaN labels are skipped and counted
inference  poses on CUDA and on the CPU are equal within a tolerance
node       `device: cuda` reaches its first pose; `device: auto` with CUDA hidden runs on the CPU and reports it
memory     a localizer that runs out of GPU memory continues on the CPU

Exit code 0: all passed, 1: a check failed, 2: there is no CUDA device.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # runs from a checkout that is not installed, too

from benchmarks.training_throughput import endless_batches, make_images, our_train_step
from transposenet_core.command_line import exit_code
from transposenet_core.errors import UserError
from transposenet_core.geometry.pose import rotation_angle_deg
from transposenet_core.localizer import Localizer
from transposenet_core.scene_model import SceneModel
from transposenet_core.training.config_reading import load_config
from transposenet_core.training.step import TrainStep

MODEL = ROOT / "demo" / "model"
PRESET = ROOT / "config" / "train" / "transposenet_fast.yaml"
# Dropout takes its random numbers from the device's generator, which a graph advances differently.
QUIET = ["model.options.dropout=0.0", "model.options.drop_connect=0.0", "precision=float32", "batch_size=8"]
QUIET += ["image.smaller_edge=54", "image.height=48", "image.width=64"]
STEPS, RATE, IMAGES = 10, 1e-4, 32
LOSS_TOLERANCE, WEIGHT_TOLERANCE = 0.01, 0.1  # relative; the weights' is of the distance they moved
METRES, DEGREES = 0.005, 0.1  # between devices


class CheckFailedError(Exception):
    """A check failed; the message has what was found."""


def expect(passed: bool, text: str) -> str:
    if not passed:
        raise CheckFailedError(text)
    return text


def training_step(device: torch.device, graph: bool) -> TrainStep:
    config = load_config(PRESET, [*QUIET, f"cuda_graph={str(graph).lower()}", f"device={device.type}"])
    with tempfile.TemporaryDirectory() as folder:
        step, _ = our_train_step(config, make_images(Path(folder), IMAGES), device)
    torch.set_float32_matmul_precision("highest")
    torch.backends.cudnn.allow_tf32 = False
    return step


def weights_of(step: TrainStep) -> torch.Tensor:
    return torch.cat([p.detach().flatten().cpu() for p in step.network.parameters()])


def take(step: TrainStep, count: int) -> list[float]:
    """The loss of each of `count` steps, on the same batches each time."""
    losses = []
    for batch in islice(endless_batches(step), count):
        step.reset()
        step(batch, RATE)
        losses.append(step.means()["loss"])
    return losses


def check_training(device: torch.device) -> str:
    recorded, eager = training_step(device, True), training_step(device, False)
    before = weights_of(eager)
    losses = np.array([take(step, STEPS) for step in (recorded, eager)])
    expect(device.type == "cpu" or recorded._graph is not None, "the step was not recorded as a CUDA graph")
    of_losses, kept = float(np.abs(losses[0] / losses[1] - 1).max()), weights_of(recorded)
    moved = float((weights_of(eager) - before).norm())
    of_weights = float((kept - weights_of(eager)).norm()) / moved
    text = f"{STEPS} steps: losses differ by {of_losses:.1e}, weights by {of_weights:.1e} of the distance they moved"
    expect(moved > 0 and of_losses <= LOSS_TOLERANCE and of_weights <= WEIGHT_TOLERANCE, text)
    recorded.pixels.scenes[0].position_N3[:] = float("nan")
    take(recorded, 1)
    skipped, unchanged = recorded.faults()[0], torch.equal(kept, weights_of(recorded))
    text += f"; NaN labels: steps skipped {skipped}, weights unchanged: {unchanged}"
    return expect(skipped == 1 and unchanged, text)


def demo_images() -> np.ndarray:
    """Images (N, H, W, 3) uint8 RGB of the demo room, which the scene model contains."""
    parity: Any = SceneModel.load(MODEL).parity
    return parity.image_P3HW.permute(0, 2, 3, 1).contiguous().numpy()


def check_inference(device: torch.device) -> str:
    images = demo_images()
    there, here = Localizer(MODEL, device=device.type), Localizer(MODEL, device="cpu")
    found, expected = ([localizer.localize(image) for image in images] for localizer in (there, here))
    same = [e.localized for e in found] == [e.localized for e in expected]
    pairs = [(a.pose, b.pose) for a, b in zip(found, expected, strict=True) if a.pose and b.pose]
    away = max((float(np.linalg.norm(a.position - b.position)) for a, b in pairs), default=np.inf)
    angle = max((float(rotation_angle_deg(a.orientation, b.orientation)) for a, b in pairs), default=np.inf)
    text = f"{len(pairs)} images: {away:.1e} m, {angle:.1e} deg apart, localized alike: {same}"
    return expect(same and len(pairs) == len(images) and away <= METRES and angle <= DEGREES, text)


def node_values(device: str) -> dict[str, str]:
    """Diagnostics of a node after its first pose."""
    from sensor_msgs.msg import Image  # the checks above need no ROS

    from benchmarks.driven_node import driven_node
    from transposenet_ros.replay.processes import free_domain

    height, width, _ = (image := demo_images()[0]).shape
    message = Image(height=height, width=width, step=3 * width, encoding="rgb8", data=image.tobytes())
    with free_domain() as domain, driven_node(MODEL, domain, device=device) as node:
        node.localize(message)
        return node.values()


def check_node(device: torch.device) -> str:
    values = node_values(device.type)
    expect(values["device"].startswith(device.type), f"requested {device.type}, runs on '{values['device']}'")
    with patch.dict(os.environ, CUDA_VISIBLE_DEVICES=""):
        fallback = node_values("auto")
    expect(fallback["device"] == "cpu" and "no CUDA" in fallback["device_note"], f"auto with CUDA hidden: {fallback}")
    return f"first pose on {values['device']}; auto with CUDA hidden: first pose on the CPU"


def check_memory(device: torch.device) -> str:
    if device.type != "cuda":
        return "not checked: needs CUDA"
    from transposenet_ros.guarded_localizer import GuardedLocalizer

    torch.cuda.empty_cache()
    torch.cuda.set_per_process_memory_fraction(1e-6)
    try:
        localizer = GuardedLocalizer(MODEL, "cuda", "cpu", lambda note: None)
        pose = localizer.localize(demo_images()[0]).pose
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    text = f"device {localizer.device}, note '{localizer.fallback_reason}', pose: {pose is not None}"
    on_cpu = localizer.device.type == "cpu" and "out of memory" in localizer.fallback_reason
    return expect(on_cpu and pose is not None, text)


CHECKS: dict[str, Callable[[torch.device], str]] = {
    "training": check_training,
    "inference": check_inference,
    "node": check_node,
    "memory": check_memory,
}


def run(args: argparse.Namespace) -> list[str]:
    """The names of the checks that failed."""
    if args.device == "cuda" and not torch.cuda.is_available():
        raise UserError("torch finds no CUDA device; run this with an NVIDIA GPU and a CUDA build of torch")
    device = torch.device(args.device)
    where = torch.cuda.get_device_name() if device.type == "cuda" else "CPU: tests this script, not CUDA"
    print(f"{where}; torch {torch.__version__}, CUDA {torch.version.cuda}")
    failed = []
    for name, check in CHECKS.items():
        began = time.perf_counter()
        try:
            passed, text = True, check(device)
        except CheckFailedError as error:
            passed, text = False, str(error)
        except (RuntimeError, ImportError, OSError, UserError):  # the other checks are still useful
            passed, text = False, traceback.format_exc()
        outcome, seconds = "passed" if passed else "FAILED", time.perf_counter() - began
        print(f"{name:<10} {outcome} ({seconds:.0f} s): {text}", flush=True)
        failed += [] if passed else [name]
    return failed


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda", help=argparse.SUPPRESS)
    args = parser.parse_args(arguments)
    failed: list[str] = []
    return exit_code(lambda: failed.extend(run(args))) or (1 if failed else 0)


if __name__ == "__main__":
    sys.exit(main())

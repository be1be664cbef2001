#!/usr/bin/env python3
"""The figures that the running node must meet, measured through DDS on the real process of the node.

python benchmarks/node_under_load.py [--parts ages fuzz soak] [--model FOLDER] [--seconds 10] [--messages 5000]
    [--frames 100000] [--pause 30]

ages (and overhead): 640x480 rgb8 images to --model for --seconds at each rate. The other parts use a very small
network: fuzz sends --messages damaged images; soak sends --frames images after the first 2000, pauses and shuts down.
Overhead is the node's work beside the network: decoding and publishing as the node measures them, preparing the image
as this process measures it. Exit code 1 if a figure is missed.
"""

from __future__ import annotations

import argparse
import array
import signal
import sys
import tempfile
import time
from contextlib import ExitStack
from itertools import repeat
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diagnostic_msgs.msg import DiagnosticStatus
from geometry_msgs.msg import PoseWithCovarianceStamped
from sensor_msgs.msg import Image

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # runs from a checkout that is not installed, too

from benchmarks import decode_fuzz
from benchmarks.driven_node import DrivenNode, driven_node, save_smallest_model, stamp_now
from transposenet_core.command_line import exit_code
from transposenet_core.errors import UserError
from transposenet_core.progress import ProgressBar
from transposenet_core.scene_model import SceneModel
from transposenet_ros.replay.processes import free_domain

NUMBERS = ("received", "localized", "dropped", "lost_in_transport")
PARTS = ("ages", "fuzz", "soak")
RATES_HZ = (10, 30, 60, 120)
FUZZ_RATE_HZ = 50
SETTLED_FRAMES = 2000

Figure = tuple[str, str, str, bool]


def image(height: int, width: int) -> Image:
    data = np.random.default_rng(0).integers(0, 256, height * width * 3, np.uint8)
    return Image(height=height, width=width, step=width * 3, encoding="rgb8", data=array.array("B", data.tobytes()))


def stream(node: DrivenNode, message: Image, rate: float, seconds: float) -> int:
    """Publish at a steady rate; each image is stamped as it is sent. Returns the number of images."""
    began, count = time.perf_counter(), max(1, round(rate * seconds))
    for k in range(count):
        time.sleep(max(0.0, began + k / rate - time.perf_counter()))
        stamp_now(message)
        node.publish(message)
    return count


def preparing_ms(model: Path) -> np.ndarray:
    """p50 and p95 of resizing, cropping and normalising a 640x480 image, in this process."""
    preprocessing, image_HW3 = SceneModel.load(model).preprocessing, np.zeros((480, 640, 3), np.uint8)
    torch.set_num_threads(1)
    times = []
    for _ in range(100):
        began = time.perf_counter()
        preprocessing(image_HW3)
        times.append(1e3 * (time.perf_counter() - began))
    return np.percentile(times[10:], (50, 95))


def ages(model: Path, domain: int, seconds: float) -> list[Figure]:
    figures: list[Figure] = []
    message, prepared = image(480, 640), preparing_ms(model)
    with driven_node(model, domain) as node:
        for rate in RATES_HZ:
            node.restart()
            sent = stream(node, message, rate, seconds)
            values = {key: value for key, value in node.values().items() if key.endswith("_ms") or key[0] in "lrd"}
            age, inference = float(values["age_p95_ms"]), float(values["inference_p95_ms"])
            bound = inference + 1e3 / rate
            share = f"{values['localized']} localized of {values['received']} received of {sent} sent"
            share += f", {values['lost_in_transport']} lost"
            inside = float(values["latency_p95_ms"])
            text = f"{age:.1f} ms; {inside:.1f} ms since arrival, inference p95 {inference:.1f} ms, {share}"
            figures.append((f"age p95 at {rate} Hz", text, f"<= {bound:.1f} ms", age <= bound))
            if rate == 30:
                for name, extra, goal in zip(("p50", "p95"), prepared, (4, 8), strict=True):
                    own = float(values[f"overhead_{name}_ms"])
                    text = f"{own + extra:.2f} ms; {own:.2f} decode and publish, {extra:.2f} prepare"
                    figures.append((f"overhead {name} at 30 Hz", text, f"<= {goal} ms", own + extra <= goal))
    return figures


class FuzzedNodes:
    """A raw and a compressed node that receive the messages of decode_fuzz; every pose they publish is checked."""

    def __init__(self, nodes: dict[str, DrivenNode]) -> None:
        self._nodes, self._next = nodes, time.perf_counter()
        self.sent, self.poses, self.invalid = 0, 0, 0
        for node in nodes.values():
            node.on_pose = self._evaluate

    def take(self, message: Any) -> None:
        """Send one message with a valid stamp."""
        time.sleep(max(0.0, self._next - time.perf_counter()))
        self._next = time.perf_counter() + 1 / FUZZ_RATE_HZ
        stamp_now(message)
        self._nodes[type(message).__name__].publish(message)
        self.sent += 1

    def _evaluate(self, message: PoseWithCovarianceStamped) -> None:
        p, q = message.pose.pose.position, message.pose.pose.orientation
        covariance_66 = np.reshape(message.pose.covariance, (6, 6))
        finite = np.isfinite([p.x, p.y, p.z, q.x, q.y, q.z, q.w]).all() and np.isfinite(covariance_66).all()
        valid = finite and abs(np.linalg.norm([q.x, q.y, q.z, q.w]) - 1) < 1e-6 and message.header.stamp.sec
        self.poses += 1
        self.invalid += not (valid and (np.linalg.eigvalsh(covariance_66) > 0).all())


def fuzzed(model: Path, domain: int, messages: int) -> list[Figure]:
    with ExitStack() as stack:
        nodes = {
            kind: stack.enter_context(driven_node(model, domain, f"/{transport}/localizer", image_transport=transport))
            for kind, transport in (("Image", "raw"), ("CompressedImage", "compressed"))
        }
        ends = FuzzedNodes(nodes)
        decode_fuzz.fuzz(ends, messages, seed=0)  # type: ignore[arg-type]
        values = [node.values() for node in nodes.values()]
        alive = all(node.process.poll() is None for node in nodes.values())
    total = {key: sum(int(v.get(key, 0)) for v in values) for key in NUMBERS}
    superseded = sum(int(v.get("dropped_superseded", 0)) for v in values)
    crashed = sum(int(v.get("dropped_inference_failed", 0)) for v in values)
    adds_up = total["received"] == total["localized"] + total["dropped"] == ends.sent - total["lost_in_transport"]
    text = f"{ends.invalid} of {ends.poses} poses; {ends.sent} sent, {superseded} superseded, {crashed} unforeseen"
    text += f", {total['lost_in_transport']} lost"
    good = alive and adds_up and not ends.invalid and not crashed
    return [("invalid poses, fuzzed", text, "0, all accounted for", good)]


def growth_and_end(model: Path, domain: int, frames: int, pause: float) -> list[Figure]:
    message = image(64, 96)
    with driven_node(model, domain) as node:
        node.localize_all(repeat(message, min(SETTLED_FRAMES, frames)))
        before = node.resources()["rss_kb"]
        node.localize_all(ProgressBar(repeat(message, frames), total=frames, unit="frame", mininterval=1))
        grown = (node.resources()["rss_kb"] - before) / 1024
        paused = time.perf_counter()
        while node.status().level != DiagnosticStatus.STALE:
            if time.perf_counter() - paused > pause:
                raise UserError(f"/diagnostics did not become STALE within --pause {pause:g} s; give a longer pause")
        stale = time.perf_counter() - paused
        time.sleep(max(0.0, pause - stale))
        recovered = node.localize(message)
        stream(node, message, 60, 1)
        reported_at = time.perf_counter()
        node.process.send_signal(signal.SIGINT)
        code = node.process.wait(30)
        ended = time.perf_counter() - reported_at
    return [
        ("RSS growth", f"{grown:+.1f} MB over {frames} frames", "<= 5 MB", grown <= 5),
        ("stale to diagnostics", f"{stale:.2f} s", "<= 2 s", stale <= 2),
        ("recovery", f"{recovered:.3f} s after a pause of {pause:g} s", "<= 1 s", recovered <= 1),
        ("shutdown under load", f"{ended:.2f} s, exit code {code}", "<= 2 s, 0", ended <= 2 and code == 0),
    ]


def run(args: argparse.Namespace) -> None:
    for name in ("messages", "frames", "seconds", "pause"):
        if getattr(args, name) <= 0:
            raise UserError(f"--{name} is {getattr(args, name)}; give more than 0")
    with tempfile.TemporaryDirectory() as folder, free_domain() as domain:
        smallest = save_smallest_model(Path(folder) / "smallest")
        parts = {
            "ages": lambda: ages(args.model, domain, args.seconds),
            "fuzz": lambda: fuzzed(smallest, domain, args.messages),
            "soak": lambda: growth_and_end(smallest, domain, args.frames, args.pause),
        }
        figures = [figure for name in PARTS if name in args.parts for figure in parts[name]()]
    for name, text, goal, held in figures:
        print(f"{name:<24}{'' if held else 'MISSED '}{text}  ({goal})")
    if not all(held for *_, held in figures):
        sys.exit(1)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS, help="what to measure")
    parser.add_argument("--model", type=Path, default=ROOT / "demo" / "model", help="folder of a scene model")
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--messages", type=int, default=5000)
    parser.add_argument("--frames", type=int, default=100_000)
    parser.add_argument("--pause", type=float, default=30.0)
    args = parser.parse_args(arguments)
    return exit_code(lambda: run(args))


if __name__ == "__main__":
    sys.exit(main())

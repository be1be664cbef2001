#!/usr/bin/env python3
"""What life cycles leave behind in the node: memory, threads, open files and endpoints on the graph.

python benchmarks/life_cycles.py [--cycles 200] [--warm-up 20] [--model FOLDER]

Each cycle localizes one image, then calls deactivate, cleanup, configure and activate through the node's services.
Without --model a very small network with random weights is used. The warm-up cycles are not in the table.
"""

from __future__ import annotations

import argparse
import array
import sys
import tempfile
from pathlib import Path

from sensor_msgs.msg import Image

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # runs from a checkout that is not installed, too

from benchmarks.driven_node import DrivenNode, driven_node, save_smallest_model
from transposenet_core.command_line import exit_code
from transposenet_core.errors import UserError
from transposenet_core.progress import ProgressBar
from transposenet_ros.replay.processes import free_domain


def live_once(node: DrivenNode, image: Image) -> None:
    """Localize an image, then take the node through a life cycle back to active."""
    node.localize(image)
    node.restart()


def measure(node: DrivenNode, cycles: int, warm_up: int) -> list[dict[str, int]]:
    """Resources before the first and after the last of `cycles` life cycles."""
    image = Image(height=64, width=96, step=288, encoding="rgb8", data=array.array("B", bytes(64 * 288)))
    for _ in ProgressBar(range(warm_up), desc="warm-up", mininterval=1):
        live_once(node, image)
    before = {**node.resources(), "endpoints": node.endpoints()}
    for _ in ProgressBar(range(cycles), desc="life cycles", mininterval=1):
        live_once(node, image)
    return [before, {**node.resources(), "endpoints": node.endpoints()}]


def table(before: dict[str, int], after: dict[str, int], cycles: int) -> str:
    head = f"{'':<32}{'before':>10}{f'after {cycles}':>12}{'growth':>10}"
    titles = {"rss_kb": "resident memory, kB", "threads": "threads", "files": "open files"}
    titles["endpoints"] = "publishers, subscriptions, services"
    rows = [f"{title:<36}{before[k]:>6}{after[k]:>12}{after[k] - before[k]:>+10}" for k, title in titles.items()]
    return "\n".join([head, *rows])


def run(args: argparse.Namespace) -> None:
    if args.cycles < 1 or args.warm_up < 0:
        raise UserError(f"--cycles is {args.cycles} and --warm-up {args.warm_up}; give at least 1 and 0")
    with tempfile.TemporaryDirectory() as folder, free_domain() as domain:
        model = args.model or save_smallest_model(Path(folder) / "smallest")
        with driven_node(model, domain) as node:
            print(table(*measure(node, args.cycles, args.warm_up), args.cycles))


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cycles", type=int, default=200)
    parser.add_argument("--warm-up", type=int, default=20)
    parser.add_argument("--model", type=Path, help="folder of a scene model")
    args = parser.parse_args(arguments)
    return exit_code(lambda: run(args))


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
"""How long the node takes from the start of its process to `active`, and how much memory it has then.

python benchmarks/node_start.py [--networks exact fast scene_coordinates] [--repeat 2]

The scene models of benchmarks/latency.py in the real node, with its default parameters. `first` is the first start,
which exports the network and keeps it beside the model; the others find it there.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # runs from a checkout that is not installed, too

from benchmarks import markdown
from benchmarks.driven_node import START_SECONDS, DrivenNode
from benchmarks.latency import made_models
from transposenet_core.command_line import exit_code
from transposenet_ros.replay.dds_profile import publisher_environment
from transposenet_ros.replay.processes import free_domain, localizer_process

NETWORKS = ("exact", "fast", "scene_coordinates")
NAME = "/localizer"


def started(model: Path, domain: int) -> tuple[float, int, int, str]:
    """Seconds to `active`, resident memory and its peak in MB, and the back end."""
    with tempfile.TemporaryDirectory() as folder, open(Path(folder) / "log", "w+b") as log:
        began = time.perf_counter()
        parameters = {"model": str(model), "diagnostics_period": 0.1}
        with localizer_process(NAME, {}, parameters, domain, Path(folder), log) as process:
            node = DrivenNode(process, Path(folder) / "log", domain, NAME, "raw")
            try:
                node.wait(lambda: "active" in _values(node).values(), "state active", START_SECONDS)
                seconds = time.perf_counter() - began
                memory = node.resources()
                return seconds, memory["rss_kb"] // 1024, memory["peak_kb"] // 1024, _values(node).get("backend", "")
            finally:
                node.close()


def _values(node: DrivenNode) -> dict[str, str]:
    return {pair.key: pair.value for pair in node._status.values}


def run(args: argparse.Namespace) -> None:
    os.environ.update(publisher_environment())
    os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
    rows = []
    with tempfile.TemporaryDirectory() as folder, free_domain() as domain:
        os.environ["TRANSPOSENET_CACHE"] = str(Path(folder) / "cache")
        models = made_models(Path(folder))
        for name in args.networks:
            model = Path(folder) / f"started_{name}"
            shutil.copytree(models[name], model, ignore=shutil.ignore_patterns("backends"))
            for attempt in range(1 + args.repeat):
                seconds, resident, peak, back_end = started(model, domain)
                title = f"{name}, {back_end}" + (", first" if attempt == 0 else "")
                rows.append((title, f"{seconds:.2f}", str(resident), str(peak)))
    print(markdown.table(("network, back end", "seconds to active", "resident, MB", "peak, MB"), rows))


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="From the node's start to active.")
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=NETWORKS)
    parser.add_argument("--repeat", type=int, default=2, help="starts after the first")
    return exit_code(lambda: run(parser.parse_args(arguments)))


if __name__ == "__main__":
    sys.exit(main())

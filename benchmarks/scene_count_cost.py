#!/usr/bin/env python3
"""The cost of one more scene in the multi-scene transformer: time of an image and of a training step, parameters.

python benchmarks/scene_count_cost.py [--scenes 2 5 10 20 50] [--size 96 128] [--repeat 9]

Random weights and images: the work does not depend on them. Times are CPU time of one thread, so that other load on
the machine matters little; medians, with the rows measured alternately.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import nn

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from transposenet_core.models import build_model
from transposenet_core.training.config import LossConfig
from transposenet_core.training.losses.labels import Labels
from transposenet_core.training.losses.registry import LOSSES

BATCH = 8


def built(scenes: int, size: tuple[int, int]) -> nn.Module:
    """The network of config/train/multiscene_transformer.yaml for this number of scenes."""
    options = {"encoder_layers": 3, "decoder_layers": 2, "dropout": 0.0, "image_size": size, "scenes": scenes}
    network = build_model("multiscene_transformer", **options)
    rng = np.random.default_rng(0)
    network.start_from_poses([(rng.uniform(0, 5, (9, 3)), rng.normal(size=(9, 4))) for _ in range(scenes)])
    return network


def jobs(network: nn.Module, scenes: int, size: tuple[int, int]) -> dict[str, Callable[[], object]]:
    """One image localized, and one training step without the optimizer on a batch."""
    loss = LOSSES["scenes"](LossConfig(), network)
    images = torch.rand(BATCH, 3, *size)
    position, orientation = torch.rand(BATCH, 3), torch.tensor([[1.0, 0, 0, 0]]).expand(BATCH, 4)
    scene = torch.arange(BATCH) % scenes

    def localize() -> None:
        network.eval()
        with torch.inference_mode():
            network(images[:1])

    def step() -> None:
        network.train().zero_grad()
        loss(network(images), Labels(position, orientation, None, scene))["loss"].backward()

    return {"image": localize, "step": step}


def measured(counts: Sequence[int], size: tuple[int, int], repeat: int) -> dict[int, dict[str, float]]:
    """By number of scenes: medians in ms by job, and parameters in millions."""
    networks = {count: built(count, size) for count in counts}
    work = {count: jobs(network, count, size) for count, network in networks.items()}
    times: dict[int, dict[str, list[float]]] = {count: {name: [] for name in work[count]} for count in counts}
    for attempt in range(repeat + 1):
        for count in counts:
            for name, job in work[count].items():
                started = time.process_time()
                job()
                if attempt:  # the first one is slower
                    times[count][name].append(1e3 * (time.process_time() - started))
    return {
        count: {name: statistics.median(values) for name, values in times[count].items()}
        | {"parameters": sum(p.numel() for p in networks[count].parameters()) / 1e6}
        for count in counts
    }


def table(rows: dict[int, dict[str, float]]) -> str:
    lines = [f"scenes  ms an image  ms a step of {BATCH}  parameters, M"]
    for count, row in rows.items():
        lines.append(f"{count:6d}{row['image']:14.1f}{row['step']:16.1f}{row['parameters']:15.4f}")
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenes", type=int, nargs="+", default=[2, 5, 10, 20, 50])
    parser.add_argument("--size", type=int, nargs=2, default=[96, 128], metavar=("HEIGHT", "WIDTH"))
    parser.add_argument("--repeat", type=int, default=9)
    args = parser.parse_args(arguments)
    torch.set_num_threads(1)
    print(table(measured(args.scenes, (args.size[0], args.size[1]), args.repeat)))
    return 0


if __name__ == "__main__":
    sys.exit(main())

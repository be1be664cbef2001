#!/usr/bin/env python3
"""What a step of a training takes, part by part, and how many images a second it makes.

python benchmarks/training_step.py --data FORMAT:PATH [--split FILE] [--config scene_coordinates] [--threads 1]
    [--steps 30] [--give-back] [key=value ...]

The data are read as by `transposenet train`, and nothing is written. --give-back returns freed memory to the system at
once, as a process does by itself: runs with and without it, one after the other, show what keeping it is worth. The
mean loss is printed in full: it is the same however fast the step is.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path

import torch

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # runs from a checkout that is not installed, too

from benchmarks import markdown
from transposenet_core.command_line import exit_code
from transposenet_core.formats import load_scene
from transposenet_core.presets import preset_path
from transposenet_core.training.batches import batches
from transposenet_core.training.config_reading import load_config
from transposenet_core.training.data.holdout import hold_out_validation
from transposenet_core.training.distributed import World
from transposenet_core.training.loop import Training
from transposenet_core.training.memory import keep_freed_memory
from transposenet_core.training.step import PARTS, TrainStep

WARM_UP, PROFILED = 5, 10


def run(args: argparse.Namespace) -> None:
    if not args.give_back:
        keep_freed_memory()
    torch.set_num_threads(args.threads)
    config = load_config(preset_path(args.config), ["device=cpu", *args.overrides])
    scene = load_scene(args.data, args.split)
    scene = hold_out_validation(scene) if config.hold_out else scene
    with tempfile.TemporaryDirectory() as folder:
        training = Training(config, [scene], Path(folder), {}, World(torch.device("cpu")))
        (stage, *_), config = training.stages, training.config
        state = training._begin(stage)
        stage.train_mode(state.network)
        step = TrainStep(state, training.pixels, training.preprocessing, config, training.world)
        counts, endless = training.pixels.counts, range(10**6)
        every = (b for epoch in endless for b in batches(counts, config.batch_size, config.seed, epoch, training.world))
        whole = (batch for batch in every if batch.total == config.batch_size)
        times: list[tuple[float, float]] = []
        for _ in range(WARM_UP + args.steps):
            wall, processor = time.perf_counter(), time.process_time()
            step(next(whole), stage.learning_rate)
            times.append((time.perf_counter() - wall, time.process_time() - processor))
        loss = step.means()["loss"]
        with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
            for _ in range(PROFILED):
                step(next(whole), stage.learning_rate)
    wall, processor = (statistics.median(each) for each in zip(*times[WARM_UP:], strict=True))
    spent = {
        event.key: event.cpu_time_total / PROFILED / 1000 for event in profile.key_averages() if event.key in PARTS
    }
    all_parts = sum(spent.values())
    print(f"{args.config}, batch {config.batch_size}, {args.threads} threads, torch {torch.__version__}")
    print(
        markdown.table(("part", "ms", "share"), [(p, f"{spent[p]:.0f}", f"{spent[p] / all_parts:.0%}") for p in PARTS])
    )
    print(f"a step: {1000 * wall:.0f} ms, {1000 * processor:.0f} ms of the processors (medians of {args.steps})")
    print(f"{config.batch_size / wall:.1f} img/s; mean loss {loss!r}")


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="The parts of a training step, and images a second.")
    parser.add_argument("--data", required=True, metavar="FORMAT:PATH")
    parser.add_argument("--split", metavar="FILE")
    parser.add_argument("--config", default="scene_coordinates", help="a preset or a file")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--give-back", action="store_true", help="do not keep freed memory")
    parser.add_argument("overrides", nargs="*", metavar="key=value")
    return exit_code(lambda: run(parser.parse_args(arguments)))


if __name__ == "__main__":
    sys.exit(main())

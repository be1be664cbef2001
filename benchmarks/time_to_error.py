#!/usr/bin/env python3
"""How long trainings took to a given error on their validation frames, from their metrics.jsonl.

python benchmarks/time_to_error.py RUN [RUN ...] [--metres 0.2 0.1 0.05]

The minutes are those of the training's own epochs (validation not counted), up to the first validation whose median
position error is at most so large; `-`: never. Epochs of earlier runs that wrote no seconds are not counted.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # runs from a checkout that is not installed, too

from benchmarks import markdown
from transposenet_core.command_line import exit_code
from transposenet_core.errors import UserError


def minutes_to(run: Path, metres: list[float]) -> tuple[list[float | None], float, float]:
    """Minutes to each error, of the whole training, and the smallest error."""
    path = run / "metrics.jsonl"
    try:
        lines = [json.loads(line) for line in path.read_text().splitlines() if line.strip()]
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: cannot be read ({error}); give the folders of trainings") from None
    reached: list[float | None] = [None] * len(metres)
    seconds, least = 0.0, float("inf")
    for line in lines:
        seconds += line.get("seconds", 0.0)
        if "val_median_m" not in line:
            continue
        least = min(least, line["val_median_m"])
        reached = [
            seconds / 60 if before is None and line["val_median_m"] <= wanted else before
            for before, wanted in zip(reached, metres, strict=True)
        ]
    return reached, seconds / 60, least


def run(args: argparse.Namespace) -> None:
    rows = []
    for folder in args.runs:
        reached, whole, least = minutes_to(folder, args.metres)
        cells = ["-" if minutes is None else f"{minutes:.1f} min" for minutes in reached]
        rows.append((folder.name, *cells, f"{whole:.1f} min", f"{least:.4f}"))
    header = ("training", *(f"to {wanted:g}" for wanted in args.metres), "whole", "smallest error")
    print(markdown.table(header, rows))


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Minutes of training to a given validation error.")
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN")
    parser.add_argument("--metres", nargs="+", type=float, default=[0.2, 0.1, 0.05], help="or the scene's units")
    return exit_code(lambda: run(parser.parse_args(arguments)))


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
"""Train and evaluate every scene of 7-Scenes or Cambridge Landmarks, and add the results to the paper's tables.

python benchmarks/benchmark.py 7scenes --data DATA/7scenes [--config PRESET] [--out DIR] [key=value ...]
python benchmarks/benchmark.py cambridge --data DATA/CambridgeLandmarks

DATA/... holds a folder per scene, each with its published split: TrainSplit.txt and TestSplit.txt, or dataset_train.txt
and dataset_test.txt. DIR/SCENE becomes the scene model; DIR gets table.md (Tables 1 and 2, or 3 and 4, with our row;
averages and ranks recomputed), errors.png (Figure 2) and results.json. The same command resumes an interrupted run.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # runs from a checkout that is not installed, too

from benchmarks.comparison import DataSet, Outcome, publish
from benchmarks.paper_tables import Paper
from benchmarks.runs import Run
from transposenet_core.command_line import exit_code
from transposenet_core.errors import UserError

PRESETS = ROOT / "config" / "train"
SEVEN_SCENES = ("chess", "fire", "heads", "office", "pumpkin", "redkitchen", "stairs")
CAMBRIDGE = ("KingsCollege", "OldHospital", "ShopFacade", "StMarysChurch")
DATA_SETS = (
    DataSet("7scenes", "transposenet_indoor.yaml", "3", "4", SEVEN_SCENES, ("TrainSplit.txt", "TestSplit.txt")),
    DataSet("cambridge", "transposenet_outdoor.yaml", "1", "2", CAMBRIDGE, ("dataset_train.txt", "dataset_test.txt")),
)


def benchmark(data_set: DataSet, data: Path, preset: Path, out: Path, overrides: list[str]) -> None:
    """Run the scenes that are not finished; the tables are written after each. UserError at the end if one failed."""
    missing = {scene: why for scene in data_set.scenes if (why := _why_absent(data_set, data / scene))}
    runs = plan(data_set, data, preset, out, overrides, missing)
    method = f"{next(iter(runs.values())).config.model.name} (this run)"
    setup = f"{preset.name}, {' '.join(overrides) or 'nothing overridden'}"
    results: dict[str, dict[str, Any]] = {}
    failed: dict[str, str] = {}
    text = ""
    for scene, run in runs.items():
        print(f"{scene}: {run.folder}", flush=True)
        try:
            results[scene] = run.finish()
        except UserError as error:  # the other scenes take days and need not wait for this one
            failed[scene] = str(error)
            print(f"{scene}: failed, the others continue: {error}", file=sys.stderr)
            continue
        text = publish(Paper.read(), data_set, Outcome(method, setup, results, missing | failed), out)
    if text:
        print(f"\n{text}\nwritten: table.md, results.json and errors.png in {out}")
    if failed:
        raise UserError("; ".join(f"{scene} failed: {why}" for scene, why in failed.items()))


def plan(
    data_set: DataSet, data: Path, preset: Path, out: Path, overrides: list[str], missing: dict[str, str]
) -> dict[str, Run]:
    """The runs of the scenes that exist. UserError if there are none, or if `out` has results of another setup."""
    for scene, why in missing.items():
        print(f"{scene}: left out, {why}")
    present = [scene for scene in data_set.scenes if scene not in missing]
    if not present:
        names = ", ".join(data_set.scenes)
        raise UserError(f"--data {data}: no scene of {data_set.name} found; give the folder that contains {names}")
    runs = {s: Run(f"{data_set.name}:{data / s}", None, str(preset), tuple(overrides), out / s) for s in present}
    for run in runs.values():
        run.finished()  # fails before days of training, not after them
    return runs


def _why_absent(data_set: DataSet, folder: Path) -> str:
    """Why a scene cannot be run on its published split; empty if it can."""
    if not folder.is_dir():
        return f"there is no folder {folder}"
    lacking = [name for name in data_set.split_files if not (folder / name).is_file()]
    return f"{folder} has no {' and no '.join(lacking)}, which hold the published split" if lacking else ""


def main(arguments: list[str] | None = None) -> int:
    known = {data_set.name: data_set for data_set in DATA_SETS}
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data_set", choices=known)
    parser.add_argument("--data", required=True, type=Path, metavar="PATH", help="the folder that contains the scenes")
    parser.add_argument("--config", type=Path, metavar="PRESET", help="default: the paper's preset in config/train")
    parser.add_argument("--out", type=Path, metavar="DIR", help="default: runs/benchmark_DATA_SET")
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="passed to training/train.py")
    args = parser.parse_intermixed_args(arguments)
    data_set = known[args.data_set]
    preset, out = args.config or PRESETS / data_set.preset, args.out or Path("runs") / f"benchmark_{data_set.name}"
    return exit_code(lambda: benchmark(data_set, args.data.expanduser(), preset, out, args.overrides))


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
"""The training recipe, one change at a time: each row is its base with one change, validated on held-out frames.

python benchmarks/recipe.py --data 7scenes:PATH --split FILE --out DIR [--rows NAME,...] [key=value ...]

The split needs val frames; test frames are never read. Every row sees the same number of images of the same size
(4:3, `--height`) and is validated once, after its last epoch. DIR/recipe.jsonl gets a line for each finished row,
which is not repeated; DIR/recipe.md is the table. Rows run one after another in one process: the same command resumes.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # runs from a checkout that is not installed, too

from benchmarks import markdown
from benchmarks.recipe_rows import ROWS, RecipeRow
from benchmarks.runs import write_text
from training import train
from transposenet_core.command_line import exit_code
from transposenet_core.errors import UserError

FILE = "recipe.jsonl"
HEADER = ("row", "changes", "val median", "val median", "against its base", "training frames", "img/s", "CPU time")


def measure(args: argparse.Namespace) -> None:
    """Run the chosen rows that are not finished. UserError for an unknown row."""
    chosen = choose(args.rows)
    args.out.mkdir(parents=True, exist_ok=True)
    budget = {"height": args.height, "epochs": args.epochs, "given": args.overrides}
    for line in read(args.out):
        if (other := line.get("budget", budget)) != budget:
            raise UserError(
                f"--out {args.out}: its rows have another budget ({other}); use that budget or give another --out"
            )
    for row in chosen:
        overrides = row.overrides(args.height, args.epochs, args.overrides)
        if any(
            line["name"] == row.name and line["overrides"] == overrides and "failed" not in line
            for line in read(args.out)
        ):
            print(f"{row.name}: done before", flush=True)
            continue
        print(f"{row.name}: {' '.join(overrides)}", flush=True)
        line = {"name": row.name, "budget": budget, "overrides": overrides} | run(args, row, overrides)
        with open(args.out / FILE, "a") as file:
            file.write(json.dumps(line) + "\n")
        write_text(args.out / "recipe.md", table(read(args.out)) + "\n")
    print(table(read(args.out)))


def choose(names: str | None) -> list[RecipeRow]:
    """The rows with these names, in the given order; all rows without names."""
    known = {row.name: row for row in ROWS}
    wanted = [name.strip() for name in names.split(",")] if names else list(known)
    for name in wanted:
        if name not in known:
            raise UserError(f"--rows: no row '{name}'; allowed are {', '.join(known)}")
    return [known[name] for name in wanted]


def run(args: argparse.Namespace, row: RecipeRow, overrides: list[str]) -> dict:
    """The outcome of a row's training: its last validation, or the exit code of a training that failed."""
    folder = args.out / row.name
    what = ["--data", args.data, "--split", args.split, "--config", str(args.config), "--out", str(folder)]
    resume = ["--resume"] if (folder / "checkpoint.safetensors").exists() else []
    started = time.process_time()
    code = train.main([*what, *resume, *overrides])
    if code == 130:
        raise KeyboardInterrupt
    if code:
        return {"failed": f"exit code {code}"}
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    validation = next((line for line in reversed(lines) if "val_median_m" in line), None)
    if validation is None:
        raise UserError(f"{args.split}: no val frames; give a split with train and val frames")
    trained = next(line for line in reversed(lines) if "train_loss" in line)
    kept = {
        "epoch": validation["epoch"],
        "median_m": validation["val_median_m"],
        "median_deg": validation["val_median_deg"],
    }
    kept |= {key: trained[key] for key in ("train_position", "train_orientation", "images_per_s", "skipped_steps")}
    return kept | {"cpu_seconds": round(time.process_time() - started, 1)}


def read(out: Path) -> list[dict]:
    path = out / FILE
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def table(lines: list[dict]) -> str:
    """The finished rows, each compared with its base."""
    done = {line["name"]: line for line in lines}
    cells = []
    for row in (row for row in ROWS if row.name in done):
        line, base = done[row.name], done.get(row.base)
        changes = row.described()
        if "failed" in line:
            cells.append((row.name, changes, line["failed"], "-", "-", "-", "-", "-"))
            continue
        pairs = [] if base is None or "failed" in base else [(line[k], base[k]) for k in ("median_m", "median_deg")]
        against = " / ".join(f"{100 * (mine / its - 1):+.0f} %" for mine, its in pairs) or "-"
        error = (f"{line['median_m']:.3f} m", f"{line['median_deg']:.1f} deg", against)
        cost = f"{line['images_per_s']:.0f}", f"{line['cpu_seconds'] / 60:.1f} min"
        cells.append((row.name, changes, *error, f"{line['train_position']:.3f} m", *cost))
    return markdown.table(HEADER, cells)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, metavar="FORMAT:PATH")
    parser.add_argument("--split", required=True, help="a CSV 'split,image' with train and val frames")
    preset = ROOT / "config" / "train" / "transposenet_fast.yaml"
    parser.add_argument("--config", type=Path, default=preset, metavar="PRESET", help=f"default: {preset.name}")
    parser.add_argument("--out", required=True, type=Path, metavar="DIR")
    parser.add_argument("--rows", metavar="NAME,...", help="default: all")
    parser.add_argument("--height", type=int, default=48, metavar="PIXELS", help="of the image, default: %(default)s")
    parser.add_argument("--epochs", type=int, default=15, metavar="N", help="default: %(default)s")
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="for every row, bases included")
    args = parser.parse_intermixed_args(arguments)
    return exit_code(lambda: measure(args))


if __name__ == "__main__":
    sys.exit(main())

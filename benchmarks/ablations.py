#!/usr/bin/env python3
"""The paper's Tables 5 to 8 on your own scene: backbone, layers, dimension, activation map of each branch.

python benchmarks/ablations.py --data FORMAT:PATH [--split FILE] [--rows 5,6.2,...] [--epochs N] [key=value ...]

Every row is the preset without its second stage and with one setting varied; row 6.2 is the second row of Table 6. Rows
with the same network share one run. The run of a row is kept in DIR/ROW and not repeated; table.md and results.json are
written to DIR. The learning rate steps at the preset's epochs: with few epochs, set schedule.step_epochs as well.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # runs from a checkout that is not installed, too

from benchmarks.ablation_rows import NOT_CHOSEN, Outcome, Row, all_rows, tables_text
from benchmarks.paper_tables import Paper
from benchmarks.runs import Run, write_json, write_text
from transposenet_core.command_line import exit_code
from transposenet_core.errors import UserError
from transposenet_core.formats import describe_formats, load_scene
from transposenet_core.models import build_model
from transposenet_core.training.config import TrainConfig

LEAST_EPOCHS = 60


def ablate(args: argparse.Namespace) -> None:
    """Run the chosen rows that are not finished; the tables are written after each row. UserError if a row failed."""
    paper = Paper.read()
    rows = all_rows(paper)
    chosen, runs = choose(rows, args.rows), plan(rows, args)
    _check([runs[row.number] for row in chosen], args.smoke)
    name = load_scene(args.data, args.split).name
    attempted: dict[str, Outcome] = {}
    for row in chosen:
        print(f"row {row.number}, {row.label}: {runs[row.number].folder}", flush=True)
        attempted[row.number] = _attempt(row, runs[row.number])
        outcomes = [attempted.get(row.number) or _left_earlier(row, runs[row.number]) for row in rows]
        text = tables_text(paper, outcomes, name, args.smoke)
        content = {"scene": name, "smoke": args.smoke, "preset": args.config.name, "overrides": args.overrides}
        write_json(args.out / "results.json", content | {"rows": {o.row.number: o.to_dict() for o in outcomes}})
        write_text(args.out / "table.md", text)
    print(f"\n{text}\nwritten: table.md and results.json in {args.out}")
    failed = [number for number, outcome in attempted.items() if outcome.failed]
    if failed:
        raise UserError(f"rows {', '.join(failed)} failed; {args.out / 'table.md'} has the reasons")


def choose(rows: list[Row], wanted: str | None) -> list[Row]:
    """The rows that `wanted` names: 6.2, or 6 for all rows of Table 6. UserError for an unknown name."""
    if wanted is None:
        return rows
    names = [name.strip() for name in wanted.split(",")]
    for name in names:
        if name not in {row.number for row in rows} | {row.table for row in rows}:
            numbers = ", ".join(row.number for row in rows)
            raise UserError(f"--rows {wanted}: no row '{name}'; allowed are {numbers}, and 5 to 8 for whole tables")
    return [row for row in rows if row.number in names or row.table in names]


def plan(rows: list[Row], args: argparse.Namespace) -> dict[str, Run]:
    """The run of each row; rows whose configuration is the same have the same run, named after the first of them."""
    given = [*args.overrides, *([f"epochs={args.epochs}"] if args.epochs is not None else [])]
    first: dict[str, Run] = {}
    runs = {}
    for row in rows:
        run = Run(args.data, args.split, str(args.config), row.overrides(given), args.out / row.number)
        runs[row.number] = first.setdefault(json.dumps(run.config.to_dict(), sort_keys=True), run)
    return runs


def _check(runs: list[Run], smoke: bool) -> None:
    """UserError before any training starts: too few epochs, or results of another setup in the folders."""
    for run in runs:
        epochs = run.config.epochs
        if epochs < LEAST_EPOCHS and not smoke:
            raise UserError(
                f"row {run.folder.name} would have {epochs} epochs, a result needs at least {LEAST_EPOCHS}: give more "
                "with --epochs, or add --smoke for a table that is marked as no result"
            )
        run.finished()


def _attempt(row: Row, run: Run) -> Outcome:
    """Run the row unless it is finished; its result, or why there is none."""
    if not run.finished() and (reason := why_not_buildable(run.config)):
        return Outcome(row, None, reason)
    try:
        return Outcome(row, run.finish())
    except UserError as error:
        print(f"row {row.number} failed, the others continue: {error}", file=sys.stderr)
        return Outcome(row, None, str(error), failed=True)


def _left_earlier(row: Row, run: Run) -> Outcome:
    """The result of a row that is not chosen, from an earlier call or from a row with the same network."""
    try:
        result = run.finished()
    except UserError as error:
        return Outcome(row, None, f"{NOT_CHOSEN}, and {error}")
    return Outcome(row, result, "" if result else NOT_CHOSEN)


def why_not_buildable(config: TrainConfig) -> str:
    """Why this machine cannot build the configured network; empty if it can."""
    image_size = (config.image.height, config.image.width)
    try:
        build_model(config.model.name, **config.model.options, image_size=image_size)
    except (UserError, ValueError, TypeError, RuntimeError) as error:
        return " ".join(str(error).split())
    return ""


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog=f"formats of --data:\n{describe_formats()}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--data", required=True, metavar="FORMAT:PATH", help="the paper uses cambridge:.../ShopFacade")
    parser.add_argument("--split", help="a CSV 'split,image'; default: the data set's own split")
    preset = ROOT / "config" / "train" / "transposenet_outdoor.yaml"
    parser.add_argument("--config", type=Path, default=preset, metavar="PRESET", help=f"default: {preset.name}")
    parser.add_argument("--out", type=Path, default=Path("runs/ablations"), metavar="DIR", help="default: %(default)s")
    parser.add_argument("--rows", help="for example 5,6.2: Table 5 and the second row of Table 6; default: all")
    parser.add_argument("--epochs", type=int, metavar="N", help=f"at least {LEAST_EPOCHS}; default: the preset's")
    parser.add_argument("--smoke", action="store_true", help="allow fewer epochs; the tables are marked as no result")
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="passed to training/train.py for every row")
    args = parser.parse_intermixed_args(arguments)
    return exit_code(lambda: ablate(args))


if __name__ == "__main__":
    sys.exit(main())

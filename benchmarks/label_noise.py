#!/usr/bin/env python3
"""The cost of poor ground truth: the error of models trained on noisy labels, evaluated on the original ones.

python benchmarks/label_noise.py --data 7scenes:PATH --split FILE --out DIR [--preset FILE] [key=value ...]

Trains one model for each noise (none; 2, 5, 10 cm; 1, 3 degrees) and resumes where it was interrupted. Writes
DIR/label_noise.md and DIR/label_noise.png: median errors on the test frames against the noise.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # runs from a checkout that is not installed, too

from benchmarks import markdown
from benchmarks.curves_figure import Curve, draw_curves
from benchmarks.runs import Run, write_text
from transposenet_core.command_line import exit_code

POSITIONS_M, ROTATIONS_DEG = (0.02, 0.05, 0.10), (1.0, 3.0)


def compare(args: argparse.Namespace) -> None:
    results = {}
    levels = [(0.0, 0.0), *((m, 0.0) for m in args.position_noise), *((0.0, deg) for deg in args.rotation_noise)]
    for metres, degrees in levels:
        noise = (f"labels.position_noise={metres}", f"labels.rotation_noise={degrees}")
        folder = args.out / f"noise_{100 * metres:g}cm_{degrees:g}deg"
        run = Run(args.data, args.split, args.preset, (*args.overrides, *noise), folder)
        results[metres, degrees] = run.finish()
        report(args.out, results)


def report(out: Path, results: dict[tuple[float, float], dict]) -> None:
    """The table and the figure of the results so far."""
    rows = [
        (f"{100 * metres:g} cm", f"{degrees:g} deg", f"{r['median_m']:.3f} m", f"{r['median_deg']:.2f} deg")
        for (metres, degrees), r in results.items()
    ]
    table = markdown.table(("position noise", "rotation noise", "median", "median"), rows)
    write_text(out / "label_noise.md", table)
    print(table)
    position = {100 * m: r for (m, deg), r in results.items() if deg == 0}
    rotation = {deg: r for (m, deg), r in results.items() if m == 0}
    draw_curves(
        out / "label_noise.png",
        "Error on true labels against the noise of the training labels",
        [
            Curve("position noise [cm]", list(position), [r["median_m"] for r in position.values()], "median [m]"),
            Curve("rotation noise [deg]", list(rotation), [r["median_deg"] for r in rotation.values()], "median [deg]"),
        ],
    )


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, metavar="FORMAT:PATH")
    parser.add_argument("--split")
    parser.add_argument("--preset", default=str(ROOT / "config" / "train" / "transposenet_fast.yaml"))
    parser.add_argument("--out", required=True, type=Path)
    parser.add_argument("--position-noise", type=float, nargs="*", default=POSITIONS_M, metavar="M")
    parser.add_argument("--rotation-noise", type=float, nargs="*", default=ROTATIONS_DEG, metavar="DEG")
    parser.add_argument("overrides", nargs="*", metavar="key=value")
    args = parser.parse_intermixed_args(arguments)
    return exit_code(lambda: compare(args))


if __name__ == "__main__":
    sys.exit(main())

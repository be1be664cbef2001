#!/usr/bin/env python3
"""How much recording is enough: the error against the number of training frames and against how close they are.

python benchmarks/recording_amount.py --data 7scenes:PATH --split FILE --out DIR [--preset FILE] [key=value ...]

Trains on all training frames of the split, every second, fourth and eighth of them, with as many steps each, and
resumes where it was interrupted. Writes DIR/recording_amount.md and DIR/recording_amount.png: the median errors on the
test frames beside those of an ideal retrieval that copies the nearest training pose, and the errors of the model of
most frames by the test view's distance from its nearest training view (1 is 0.15 m or 8 degrees).
"""

from __future__ import annotations

import argparse
import csv
import io
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # runs from a checkout that is not installed, too

from benchmarks import markdown
from benchmarks.curves_figure import Curve, draw_curves
from benchmarks.error_by_distance import LABEL, X_LABEL, ByDistance, copied, nearest
from benchmarks.runs import PREDICTIONS, Run, prediction_errors, write_text
from transposenet_core.command_line import exit_code
from transposenet_core.formats import load_scene
from transposenet_core.scene import Scene

EVERY = (1, 2, 4, 8)


def compare(args: argparse.Namespace) -> None:
    scene = load_scene(args.data, args.split)
    epochs = Run(args.data, args.split, args.preset, tuple(args.overrides), args.out).config.epochs
    results = {}
    for every in args.every:
        split = args.out / f"every_{every}.csv"
        fewer = thinned(scene, every)
        write_split(split, fewer)
        # The same number of steps for each: fewer frames are seen more often.
        overrides = (*args.overrides, f"epochs={epochs * every}", f"validate_every={epochs * every}")
        run = Run(args.data, str(split), args.preset, overrides, args.out / f"every_{every}")
        run.finish()
        results[len(fewer.select("train"))] = (fewer, run.folder / PREDICTIONS)
        report(args.out, scene, results)


def thinned(scene: Scene, every: int) -> Scene:
    """The scene with every n-th training frame, the others as they are."""
    training = {id(image) for image in scene.select("train")[::every]}
    return replace(scene, images=[i for i in scene.images if i.split != "train" or id(i) in training])


def write_split(path: Path, scene: Scene) -> None:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("split", "image"))
    writer.writerows((image.split, image.name) for image in scene.images)
    write_text(path, text.getvalue())


def report(out: Path, scene: Scene, results: dict[int, tuple[Scene, Path]]) -> None:
    """The table and the figure of the results so far."""
    rows, medians, copies = [], [], []
    for count, (fewer, predictions) in results.items():
        median = [float(np.median(errors)) for errors in prediction_errors(predictions, fewer.select("test"))]
        without = [float(np.median(errors)) for errors in copied(fewer)]
        rows.append((str(count), f"{np.median(nearest(fewer)[0]):.2f}", _error(median), _error(without)))
        medians.append(median)
        copies.append(without)
    table = markdown.table(("training frames", "views away (median)", "model", LABEL), rows)
    whole, predictions = results[max(results)]
    errors = prediction_errors(predictions, whole.select("test"))
    bins = ByDistance(nearest(whole)[0])
    table += "\n" + bins.table({f"model of {max(results)} frames": errors})
    write_text(out / "recording_amount.md", table)
    print(table)
    counts, frames = list(results), "training frames"
    (metres, degrees), (copied_m, copied_deg) = zip(*medians, strict=True), zip(*copies, strict=True)
    draw_curves(
        out / "recording_amount.png",
        f"{scene.name}: how much recording is enough",
        [
            Curve(frames, counts, metres, "median [m]", True, copied_m, LABEL),
            Curve(frames, counts, degrees, "median [deg]", True, copied_deg, LABEL),
            Curve(X_LABEL, bins.middle, bins.medians(errors[0]), "median [m]"),
        ],
    )


def _error(median: list[float]) -> str:
    return f"{median[0]:.3f} m {median[1]:.2f} deg"


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, metavar="FORMAT:PATH")
    parser.add_argument("--split", required=True)
    parser.add_argument("--preset", default=str(ROOT / "config" / "train" / "transposenet_fast.yaml"))
    parser.add_argument("--out", required=True, type=Path)
    parser.add_argument("--every", type=int, nargs="*", default=EVERY, metavar="N", help="take every n-th frame")
    parser.add_argument("overrides", nargs="*", metavar="key=value")
    args = parser.parse_intermixed_args(arguments)
    return exit_code(lambda: compare(args))


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
"""How much recording is enough: the error against the number of training frames and against how near they come.

python benchmarks/recording_amount.py --data 7scenes:PATH --split FILE --out DIR [--preset FILE] [key=value ...]

Trains on all training frames of the split, every second, fourth and eighth of them, with as many steps each, and goes
on where it was interrupted. Writes DIR/recording_amount.md and DIR/recording_amount.png: the median errors on the test
frames beside those of a look-up that copies the nearest training pose, and the errors of the model of all frames by the
test view's distance from its nearest training view (1 is 0.15 m or 8 degrees).
"""

from __future__ import annotations

import argparse
import csv
import io
import itertools
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # runs from a checkout that is not installed, too

from benchmarks import markdown
from benchmarks.curves_figure import Curve, draw_curves
from benchmarks.runs import PREDICTIONS, Run, prediction_errors, write_text
from transposenet_core.command_line import exit_code
from transposenet_core.evaluation import pose_errors
from transposenet_core.formats import load_scene
from transposenet_core.pose import rotation_angle_deg, stack
from transposenet_core.scene import Scene
from transposenet_core.training.holdout import VIEW_DEG, VIEW_M

EVERY = (1, 2, 4, 8)
BINS = (0.0, 0.75, 1.0, 1.25, 1.5, np.inf)  # views


def compare(args: argparse.Namespace) -> None:
    scene = load_scene(args.data, args.split)
    epochs = Run(args.data, args.split, args.preset, tuple(args.overrides), args.out).config.epochs
    results = {}
    for every in args.every:
        split = args.out / f"every_{every}.csv"
        fewer = thinned(scene, every)
        write_split(split, fewer)
        # As many steps for each: fewer frames are seen more often.
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


def nearest(scene: Scene) -> tuple[np.ndarray, list[int]]:
    """Of each test frame the distance in views to the nearest training frame, and which that is."""
    positions_N3, orientations_N4 = stack([image.pose for image in scene.select("train")])
    distances, chosen = [], []
    for image in scene.select("test"):
        metres_N = np.linalg.norm(positions_N3 - image.pose.position, axis=1) / VIEW_M
        degrees_N = rotation_angle_deg(orientations_N4, image.pose.orientation[None]) / VIEW_DEG
        views_N = np.maximum(metres_N, degrees_N)
        chosen.append(int(views_N.argmin()))
        distances.append(float(views_N.min()))
    return np.array(distances), chosen


def report(out: Path, scene: Scene, results: dict[int, tuple[Scene, Path]]) -> None:
    """The table and the picture of what is there so far."""
    truths = [image.pose for image in scene.select("test")]
    rows, medians, copies = [], [], []
    for count, (fewer, predictions) in results.items():
        median = [float(np.median(errors)) for errors in prediction_errors(predictions, fewer.select("test"))]
        distances_N, chosen = nearest(fewer)
        training = [image.pose for image in fewer.select("train")]
        copied = [float(np.median(e)) for e in pose_errors([training[index] for index in chosen], truths)]
        rows.append((str(count), f"{np.median(distances_N):.2f}", _error(median), _error(copied)))
        medians.append(median)
        copies.append(copied)
    table = markdown.table(("training frames", "views away (median)", "model", "nearest training pose"), rows)
    whole, predictions = results[max(results)]
    errors_m, errors_deg = prediction_errors(predictions, whole.select("test"))
    distances_N = nearest(whole)[0]
    bins = [(low, high, (distances_N >= low) & (distances_N < high)) for low, high in itertools.pairwise(BINS)]
    filled = [(low, high, inside_N) for low, high, inside_N in bins if inside_N.sum() >= 5]
    by_distance = [
        (f"{low:g} to {high:g}", str(inside_N.sum()), _error([np.median(e[inside_N]) for e in (errors_m, errors_deg)]))
        for low, high, inside_N in filled
    ]
    table += "\n" + markdown.table(("views away", "test frames", "model of all frames"), by_distance)
    write_text(out / "recording_amount.md", table)
    print(table)
    middle = [float(np.median(distances_N[inside_N])) for _, _, inside_N in filled]
    label = "copying the nearest training pose"
    counts, frames = list(results), "training frames"
    (metres, degrees), (copied_m, copied_deg) = zip(*medians, strict=True), zip(*copies, strict=True)
    draw_curves(
        out / "recording_amount.png",
        f"{scene.name}: how much recording is enough",
        [
            Curve(frames, counts, metres, "median [m]", True, copied_m, label),
            Curve(frames, counts, degrees, "median [deg]", True, copied_deg, label),
            Curve(
                "distance of the test view from the nearest training view (1: 0.15 m or 8 deg)",
                middle,
                [float(np.median(errors_m[inside_N])) for _, _, inside_N in filled],
                "median [m]",
            ),
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

#!/usr/bin/env python3
"""How near a training view has to be: errors by a test view's distance from its nearest training view.

python benchmarks/error_by_distance.py --data FORMAT:PATH --split FILE --predictions FILE \\
    [--split FILE --predictions FILE ...] --out FILE.png

Predictions are those that `training/evaluate.py --predictions` writes for the test frames of the split; several folds
are evaluated together. The distance is in views, the larger of metres / 0.15 and degrees / 8. The model is compared
with an ideal retrieval, which copies the nearest training pose: an error below it cannot come from retrieval alone.
"""

from __future__ import annotations

import argparse
import itertools
import sys
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # runs from a checkout that is not installed, too

from benchmarks import markdown
from benchmarks.curves_figure import Curve, draw_curves
from benchmarks.runs import prediction_errors
from transposenet_core.command_line import exit_code
from transposenet_core.errors import UserError
from transposenet_core.evaluation.errors import pose_errors
from transposenet_core.formats import load_scene
from transposenet_core.geometry.pose import rotation_angle_deg, stack
from transposenet_core.scene import Scene
from transposenet_core.training.data.holdout import VIEW_DEG, VIEW_M

BINS = (0.0, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0, np.inf)  # views
FEWEST = 5  # frames; bins with less are left out
LABEL = "copying the nearest training pose"
X_LABEL = "test view to nearest training view\n(1: 0.15 m or 8 deg)"


def nearest(scene: Scene) -> tuple[np.ndarray, list[int]]:
    """For each test frame the distance in views to the nearest training frame, and its index."""
    positions_N3, orientations_N4 = stack([image.pose for image in scene.select("train")])
    distances, chosen = [], []
    for image in scene.select("test"):
        metres_N = np.linalg.norm(positions_N3 - image.pose.position, axis=1) / VIEW_M
        degrees_N = rotation_angle_deg(orientations_N4, image.pose.orientation[None]) / VIEW_DEG
        views_N = np.maximum(metres_N, degrees_N)
        chosen.append(int(views_N.argmin()))
        distances.append(float(views_N.min()))
    return np.array(distances), chosen


def copied(scene: Scene) -> tuple[np.ndarray, np.ndarray]:
    """Errors (N,) in metres and degrees if each test frame gets the pose of the nearest training frame."""
    training = [image.pose for image in scene.select("train")]
    return pose_errors([training[i] for i in nearest(scene)[1]], [image.pose for image in scene.select("test")])


class ByDistance:
    """Frames in bins by distance; bins with few frames are left out, because their medians mean little."""

    def __init__(self, distances_N: np.ndarray) -> None:
        parts = [(low, high, (distances_N >= low) & (distances_N < high)) for low, high in itertools.pairwise(BINS)]
        self.filled = [(low, high, inside_N) for low, high, inside_N in parts if inside_N.sum() >= FEWEST]
        self.middle = [float(np.median(distances_N[inside_N])) for _, _, inside_N in self.filled]

    def medians(self, errors_N: np.ndarray) -> list[float]:
        return [float(np.median(errors_N[inside_N])) for _, _, inside_N in self.filled]

    def table(self, columns: dict[str, tuple[np.ndarray, np.ndarray]]) -> str:
        """Medians in metres and degrees by bin, a column for each pair of errors."""
        rows = []
        for low, high, inside_N in self.filled:
            medians = (f"{np.median(m[inside_N]):.3f} m {np.median(d[inside_N]):.2f} deg" for m, d in columns.values())
            rows.append((f"{low:g} to {high:g}", str(inside_N.sum()), *medians))
        return markdown.table(("views away", "test frames", *columns), rows)


def compare(args: argparse.Namespace) -> None:
    if len(args.split) != len(args.predictions):
        found = f"--split is given {len(args.split)} times and --predictions {len(args.predictions)} times"
        raise UserError(f"{found}; give both once for each fold, in the same order")
    scenes = [load_scene(args.data, split) for split in args.split]
    pairs = zip(args.predictions, scenes, strict=True)
    found = [prediction_errors(path, scene.select("test")) for path, scene in pairs]
    columns = {"model": _joined(found), LABEL: _joined([copied(scene) for scene in scenes])}
    bins = ByDistance(np.concatenate([nearest(scene)[0] for scene in scenes]))
    print(bins.table(columns))
    curves = [
        Curve(X_LABEL, bins.middle, bins.medians(columns["model"][axis]), unit, False, line, LABEL)
        for axis, unit in enumerate(("median [m]", "median [deg]"))
        for line in [bins.medians(columns[LABEL][axis])]
    ]
    draw_curves(args.out, f"{scenes[0].name}: how near a training view has to be", curves)
    print(f"{sum(len(metres_N) for metres_N, _ in found)} test frames of {len(scenes)} splits: {args.out}")


def _joined(errors: list[tuple[np.ndarray, np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
    metres, degrees = zip(*errors, strict=True)
    return np.concatenate(metres), np.concatenate(degrees)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, metavar="FORMAT:PATH")
    parser.add_argument("--split", required=True, action="append", metavar="FILE", help="once for each fold")
    parser.add_argument(
        "--predictions", required=True, action="append", type=Path, metavar="FILE", help="once for each fold"
    )
    parser.add_argument("--out", required=True, type=Path, metavar="FILE.png")
    args = parser.parse_args(arguments)
    return exit_code(lambda: compare(args))


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
"""Three curves of refinement on the validation frames of a data set with depth: against how far off the predicted pose
is, against the number of keyframes, and against the distance to the nearest keyframe.

python benchmarks/refinement_curves.py --data MAP [--split FILE] --out DIR

Predicted poses are the labels with drawn errors (seeded), so no network takes part. Writes DIR/curves.json and
DIR/curves.png, and prints three tables. Right is within 0.1 of the typical depth and 5 degrees of the label.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # runs from a checkout that is not installed, too

from benchmarks import markdown
from transposenet_core.atomic_files import write_atomically
from transposenet_core.command_line import exit_code
from transposenet_core.errors import UserError
from transposenet_core.evaluation.errors import pose_errors
from transposenet_core.formats import load_scene
from transposenet_core.geometry.covariance import with_error
from transposenet_core.geometry.intrinsics import Intrinsics
from transposenet_core.geometry.pose import Pose
from transposenet_core.geometry.undistortion import Undistorter
from transposenet_core.preprocessing import read_rectified
from transposenet_core.progress import ProgressBar
from transposenet_core.refinement import Refiner
from transposenet_core.scene import unit_name
from transposenet_core.training.keyframes import make_keyframes

# Medians of the drawn errors: of the typical depth, and in degrees.
STARTS = ((0.03, 1.25), (0.06, 2.5), (0.12, 5.0), (0.2, 10.0), (0.3, 15.0))
NEAR = STARTS[0]
COUNTS = (5, 10, 20, 40, 80, 160, 500)
MEDIAN_OF_NORM = 1.538  # of three independent normal numbers
RIGHT, RIGHT_DEG = 0.1, 5.0
BINS = (0.0, 0.05, 0.1, 0.2, 0.3, 0.5, 1.0)


class Outcome(NamedTuple):
    """Of one frame: whether it was accepted, its errors, and how differently the nearest keyframe sees."""

    accepted: bool
    position: float
    rotation_deg: float
    distance: float


class Frame(NamedTuple):
    image_HW3: np.ndarray
    pose: Pose


def drawn(pose: Pose, position: float, degrees: float, rng: np.random.Generator) -> Pose:
    """A pose with errors of these medians."""
    angle_3 = np.radians(degrees) / MEDIAN_OF_NORM * rng.normal(size=3)
    return with_error(pose, np.concatenate((position / MEDIAN_OF_NORM * rng.normal(size=3), angle_3)))


def refined(refiner: Refiner, camera: Intrinsics, frames: list[Frame], start: tuple[float, float]) -> list[Outcome]:
    """Every frame from a pose that is `start` off."""
    rng, index, found = np.random.default_rng(0), refiner.index, []
    for frame in ProgressBar(frames, desc=f"{start[1]} deg", unit="img", leave=False):
        predicted = drawn(frame.pose, start[0] * index.typical, start[1], rng)
        outcome = refiner.refine(frame.image_HW3, camera, [predicted])
        step_K = np.linalg.norm(index.positions_K3 - frame.pose.position, axis=1) / index.typical
        angle_K = np.arccos(np.clip(index.forward_K3 @ frame.pose.rotation_33[:, 2], -1, 1))
        position_1, rotation_1 = pose_errors([outcome.pose or predicted], [frame.pose])
        found.append(
            Outcome(outcome.accepted, float(position_1[0]), float(rotation_1[0]), float((step_K + angle_K).min()))
        )
    return found


def row(outcomes: list[Outcome], typical: float) -> dict:
    """Figures over some frames."""
    accepted = [o for o in outcomes if o.accepted]
    wrong = [o for o in accepted if o.position > RIGHT * typical or o.rotation_deg > RIGHT_DEG]
    position = [o.position for o in accepted] or [np.nan]
    rotation = [o.rotation_deg for o in accepted] or [np.nan]
    return {
        "frames": len(outcomes),
        "accepted": len(accepted) / len(outcomes) if outcomes else None,
        "wrong": len(wrong) / len(accepted) if accepted else None,
        "median": float(np.median(position)),
        "median_deg": float(np.median(rotation)),
        "p95": float(np.quantile(position, 0.95)),
    }


def main(args: argparse.Namespace) -> None:
    cv2.setNumThreads(1)
    scene = load_scene(args.data, args.split).of_the_camera()
    made = make_keyframes(scene, max(COUNTS), 2)
    if made is None or scene.intrinsics is None:
        raise UserError(f"{args.data}: its training frames have no depth, of which keyframes are made")
    undistorter = Undistorter(scene.intrinsics)
    camera = undistorter.rectified
    frames = [Frame(read_rectified(image.path, undistorter), image.pose) for image in scene.select("val")]
    whole = Refiner(made.keyframes)
    typical, unit = whole.index.typical, unit_name(scene.units)
    results: dict = {"typical_depth": typical, "keyframes": len(made.images), "basin": [], "count": [], "distance": []}
    for start in STARTS:
        figures = row(refined(whole, camera, frames, start), typical)
        results["basin"].append({"start": start[0] * typical, "start_deg": start[1]} | figures)
    for count in [*(c for c in COUNTS if c < len(made.images)), len(made.images)]:
        fewer = make_keyframes(scene, count, 2)
        assert fewer is not None  # there are some
        figures = row(refined(Refiner(fewer.keyframes), camera, frames, NEAR), typical)
        results["count"].append({"keyframes": len(fewer.images)} | figures)
        if count == COUNTS[1]:
            sparse = refined(Refiner(fewer.keyframes), camera, frames, NEAR)
    near = refined(whole, camera, frames, NEAR) + sparse
    for low, high in itertools.pairwise(BINS):
        inside = [o for o in near if low <= o.distance < high]
        if inside:
            results["distance"].append({"from": low, "to": high} | row(inside, typical))
    for name, title in (("basin", "start"), ("count", "keyframes"), ("distance", "from")):
        print(
            markdown.table(
                [title, "accepted", "wrong", f"median ({unit}, deg)", "p95", "frames"], _rows(results[name], title)
            )
        )
    args.out.mkdir(parents=True, exist_ok=True)
    with write_atomically(args.out / "curves.json") as path:
        path.write_text(json.dumps(results, indent=1) + "\n")
    draw(args.out / "curves.png", results, unit)


def _rows(found: list[dict], title: str) -> list[list[str]]:
    return [
        [
            f"{each[title]:.3g}" + (f" / {each['start_deg']:g} deg" if "start_deg" in each else ""),
            f"{each['accepted']:.1%}",
            "-" if each["wrong"] is None else f"{each['wrong']:.1%}",
            f"{each['median']:.4f} / {each['median_deg']:.2f}",
            f"{each['p95']:.3f}",
            str(each["frames"]),
        ]
        for each in found
    ]


def draw(path: Path, results: dict, unit: str) -> None:
    """Three panels: shares accepted and right of the start, error and share of the number, error of the distance."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 3, figsize=(13, 3.8), layout="constrained")
    basin, count, distance = (results[name] for name in ("basin", "count", "distance"))
    axes[0].plot([b["start"] for b in basin], [100 * b["accepted"] for b in basin], "o-", label="accepted")
    right = [100 * b["accepted"] * (1 - (b["wrong"] or 0)) for b in basin]
    axes[0].plot([b["start"] for b in basin], right, "s--", label="accepted and right")
    axes[0].set(xlabel=f"error of the predicted pose ({unit}; degrees beside)", ylabel="frames (%)", ylim=(0, 115))
    for b in basin:
        axes[0].annotate(
            f"{b['start_deg']:g}°", (b["start"], 100 * b["accepted"]), (0, 8), textcoords="offset points", ha="center"
        )
    axes[0].legend(loc="lower left")
    axes[0].set_title("how far off the prediction may be")
    axes[1].semilogx([c["keyframes"] for c in count], [c["median"] for c in count], "o-", label="median")
    axes[1].semilogx([c["keyframes"] for c in count], [c["p95"] for c in count], "s--", label="95th percentile")
    for c in count:
        axes[1].annotate(
            f"{c['accepted']:.0%}", (c["keyframes"], c["median"]), (0, 6), textcoords="offset points", ha="center"
        )
    axes[1].set(xlabel="keyframes (share accepted beside)", ylabel=f"error of the accepted ({unit})", ylim=(0, None))
    axes[1].set_xticks([c["keyframes"] for c in count], [str(c["keyframes"]) for c in count])
    axes[1].minorticks_off()
    axes[1].legend()
    axes[1].set_title("how many keyframes")
    middle = [(d["from"] + d["to"]) / 2 for d in distance]
    axes[2].plot(middle, [d["median"] for d in distance], "o-", label="median")
    axes[2].plot(middle, [d["p95"] for d in distance], "s--", label="95th percentile")
    for x, d in zip(middle, distance, strict=True):
        axes[2].annotate(f"{d['accepted']:.0%}", (x, d["median"]), (0, 6), textcoords="offset points", ha="center")
    axes[2].set(
        xlabel="distance to the nearest keyframe\n(step / typical depth + angle in radians)",
        ylabel=f"error of the accepted ({unit})",
        ylim=(0, None),
    )
    axes[2].legend()
    axes[2].set_title("how near a keyframe has to be")
    for each in axes:
        each.margins(x=0.12)  # or the texts of the outer points cross the frame
    with write_atomically(path) as temporary:
        figure.savefig(temporary, dpi=110, format="png")
    plt.close(figure)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, metavar="FORMAT:PATH", help="with depth of its training frames")
    parser.add_argument("--split", metavar="FILE")
    parser.add_argument("--out", required=True, type=Path, metavar="DIR")
    sys.exit(exit_code(lambda: main(parser.parse_args())))

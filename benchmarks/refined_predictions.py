#!/usr/bin/env python3
"""Refines kept poses of a network against keyframes, without the network: what `evaluate` does with a model of it.

python benchmarks/refined_predictions.py --data MAP --priors FILE.csv [--select test] [--most 500]
    [--predictions OUT.csv]

MAP is a data set with depth; its training frames become keyframes. FILE.csv is what `evaluate --predictions` wrote of a
network that was trained on the same frames: the poses that refinement begins at. Prints errors before and after, how
many are accepted, how many of those are wrong, and milliseconds by the process's own clock (--threads 1: of one core).
"""

from __future__ import annotations

import argparse
import csv
import sys
from pathlib import Path

import cv2
import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # runs from a checkout that is not installed, too

from benchmarks import markdown
from transposenet_core.command_line import exit_code
from transposenet_core.errors import UserError
from transposenet_core.estimate import Estimate
from transposenet_core.evaluation.calibration import CovarianceCalibration
from transposenet_core.evaluation.errors import pose_errors, write_predictions
from transposenet_core.evaluation.offline_result import FAR_OFF
from transposenet_core.formats import load_scene
from transposenet_core.geometry.covariance import error_vectors
from transposenet_core.geometry.pose import Pose
from transposenet_core.geometry.undistortion import Undistorter
from transposenet_core.image_files import image_stem
from transposenet_core.preprocessing import read_rectified
from transposenet_core.progress import ProgressBar
from transposenet_core.refinement import Refiner
from transposenet_core.refinement_stage import RefinementStage
from transposenet_core.scene import unit_name
from transposenet_core.training.refinement_error import scene_keyframes

ROTATION_STD = np.radians(1.0)  # of a network's pose about each axis: prediction files hold the positions' alone


def read_priors(path: Path) -> dict[str, Estimate]:
    """The estimates in a prediction file, by the image's name without its suffix."""
    with open(path, newline="") as file:
        rows = list(csv.DictReader(file))
    return {image_stem(row["image"]): _estimate(row) for row in rows}


def _estimate(row: dict[str, str]) -> Estimate:
    numbers = {name: float(row[name]) for name in ("x", "y", "z", "qw", "qx", "qy", "qz")}
    sigma = [float(row[f"sigma_{axis}"]) for axis in "xyz"]
    pose = Pose(np.array([numbers[k] for k in "xyz"]), np.array([numbers[f"q{k}"] for k in "wxyz"]))
    covariance_66 = np.diag(np.square([*sigma, *[ROTATION_STD] * 3]))
    localized = row["localized"] == "1"
    return Estimate(pose, covariance_66, localized, "" if localized else "out_of_scene", "scene", "map")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which frames are refined, and from which poses."""
    parser.add_argument("--data", required=True, metavar="FORMAT:PATH", help="with depth of its training frames")
    parser.add_argument("--split", metavar="FILE")
    parser.add_argument("--priors", required=True, type=Path, metavar="FILE.csv")
    parser.add_argument("--select", default="test", choices=("val", "test"))


def main(args: argparse.Namespace) -> None:
    cv2.setNumThreads(args.threads)
    scene, priors = load_scene(args.data, args.split), read_priors(args.priors)
    made, sentence = scene_keyframes(scene, args.most, 2, seed=0)
    if made is None or scene.intrinsics is None:
        raise UserError(f"{args.data}: {sentence}")
    print(sentence)
    undistorter = Undistorter(scene.intrinsics)
    stage = RefinementStage(Refiner(made.file.load()), undistorter.rectified, made.error)
    images = scene.select(args.select)
    missing = [image.name for image in images if image_stem(image.name) not in priors]
    if missing:
        raise UserError(f"{args.priors}: no row of {missing[0]} and {len(missing) - 1} others; evaluate the same split")
    estimates = []
    mount = scene.T_pose_camera
    for image in ProgressBar(images, desc="refine", unit="img", leave=False):
        prior = priors[image_stem(image.name)]
        begun = prior.of_the_labelled(mount.inverse()) if mount else prior  # the camera's pose from the label's
        found = stage.refined(begun, read_rectified(image.path, undistorter), [])
        estimates.append(found.of_the_labelled(mount) if mount else found)
    ground_truth = [image.pose for image in images]
    unit, refined = unit_name(scene.units), [e.refined for e in estimates]
    before = [e.unrefined.pose for e in estimates if e.unrefined and e.unrefined.pose]
    rows = [
        _row("network", before, ground_truth),
        _row("with refinement", [e.pose for e in estimates if e.pose], ground_truth),
    ]
    accepted = [(e, t) for e, t in zip(estimates, ground_truth, strict=True) if e.refined and e.pose]
    rows.append(_row("accepted", [e.pose for e, _ in accepted if e.pose], [t for _, t in accepted]))
    print(markdown.table(["", f"median ({unit}, deg)", "p95", "frames"], rows))
    position_M, _ = pose_errors([e.pose for e, _ in accepted if e.pose], [t for _, t in accepted])
    milliseconds = 1000 * np.array([e.refinement_s for e in estimates])
    print(
        f"accepted {np.mean(refined):.1%}, of which {np.mean(position_M > FAR_OFF):.2%} are off by more than "
        f"{FAR_OFF} {unit}; {np.median(milliseconds):.1f} ms in the median, p95 {np.quantile(milliseconds, 0.95):.1f}"
    )
    error_N6 = error_vectors([e.pose for e, _ in accepted if e.pose], [t for _, t in accepted])
    print(CovarianceCalibration.of(error_N6, np.stack([e.covariance_66 for e, _ in accepted])))
    if args.predictions:
        write_predictions(args.predictions, [image.name for image in images], estimates)


def _row(title: str, poses: list[Pose], ground_truth: list[Pose]) -> list[str]:
    position_N, rotation_N = pose_errors(poses, ground_truth)
    pairs = [
        (np.median(position_N), np.median(rotation_N)),
        *[tuple(np.quantile(e, 0.95) for e in (position_N, rotation_N))],
    ]
    return [title, *(f"{m:.4f} / {deg:.3f}" for m, deg in pairs), str(len(poses))]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_arguments(parser)
    parser.add_argument("--most", type=int, default=500, help="keyframes at most")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--predictions", type=Path, metavar="OUT.csv")
    sys.exit(exit_code(lambda: main(parser.parse_args())))

#!/usr/bin/env python3
"""The gain and cost of test-time optimisation: a pose_autoencoder with it, compared with its teacher alone.

python benchmarks/test_time_optimization.py MODEL --data FORMAT:PATH --split FILE [--select test] [--grid]

The row `as chosen` is the model as it runs on a robot; `3 neighbours` is the paper's number, with the ridge that is
best on these same frames, which is a hint and not a result. `--grid` prints the median of every setting that training
chooses from. Milliseconds are medians over single frames, CPU time of one thread.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from dataclasses import replace
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # runs from a checkout that is not installed, too

from transposenet_core.command_line import exit_code
from transposenet_core.commands.data_options import SPLIT_HELP
from transposenet_core.errors import UserError
from transposenet_core.evaluation.errors import ErrorSummary, pose_errors, summarise, table
from transposenet_core.evaluation.offline import image_reader
from transposenet_core.formats import load_scene
from transposenet_core.geometry.pose import Pose
from transposenet_core.models.pose_autoencoder import PoseAutoencoder
from transposenet_core.progress import ProgressBar
from transposenet_core.scene import PosedImage, Scene
from transposenet_core.scene_model import SceneModel
from transposenet_core.training.autoencoder.refinement_choice import NEIGHBOURS, RIDGES

Latents = list[dict[str, torch.Tensor]]


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, metavar="MODEL", help="a scene model of pose_autoencoder")
    parser.add_argument("--data", required=True, metavar="FORMAT:PATH")
    parser.add_argument("--split", help=SPLIT_HELP)
    parser.add_argument("--select", default="test", choices=("train", "val", "test"), help="frames to evaluate on")
    parser.add_argument("--grid", action="store_true", help="print the median of every setting")
    args = parser.parse_args(arguments)
    return exit_code(lambda: run(args))


@torch.inference_mode()
def run(args: argparse.Namespace) -> None:
    torch.set_num_threads(1)
    model = SceneModel.load(args.model)
    network = model.network
    if not isinstance(network, PoseAutoencoder):
        raise UserError(f"{args.model}: a scene model of '{model.architecture}'; give one of pose_autoencoder")
    if len(model.scenes) > 1:
        raise UserError(f"{args.model}: a scene model of {model.title}; give one of a single scene")
    scene = load_scene(args.data, args.split)
    images = scene.select(args.select)
    chosen = network.neighbours, network.ridge
    latents, milliseconds = teacher_latents(model, scene, images)
    # The network returns the pose of the camera; the ground truth may be that of another body on the same mount.
    seen = replace(scene, T_pose_camera=model.scenes[0].T_pose_camera, images=images).of_the_camera()
    ground_truth_poses = [image.pose for image in seen.images]
    tried = {
        pair: errors_with(network, pair, latents, ground_truth_poses) for pair in settings(network, chosen, args.grid)
    }
    papers = [pair for pair in tried if pair[0] == 3]
    if not papers:
        raise UserError(
            f"{args.model}: {network.most_neighbours} training poses; give a model with at least the paper's 3"
        )
    three = min(papers, key=lambda pair: tried[pair].median_m)
    rows = {"teacher": tried[0, 0.0], f"as chosen: {named(chosen)}": tried[chosen], named(three): tried[three]}
    print(table(rows))
    gain = tried[0, 0.0].median_m - tried[chosen].median_m
    print(f"as chosen {gain:+.4f} m in the median on {len(images)} {args.select} frames of {scene.name}")
    if args.grid:
        print_grid(tried)
    beside = refinement_milliseconds(network, chosen if chosen[0] else three, latents)
    print(f"teacher {milliseconds:.2f} ms, test-time optimisation {beside:.2f} ms more a frame")


def named(pair: tuple[int, float]) -> str:
    return f"{pair[0]} neighbours, ridge {pair[1]:g}" if pair[0] else "off"


def settings(network: PoseAutoencoder, chosen: tuple[int, float], grid: bool) -> list[tuple[int, float]]:
    counts = [count for count in (NEIGHBOURS if grid else NEIGHBOURS[:1]) if count <= network.most_neighbours]
    return [(0, 0.0), chosen, *((count, ridge) for count in counts for ridge in RIDGES)]


def teacher_latents(model: SceneModel, scene: Scene, images: list[PosedImage]) -> tuple[Latents, float]:
    """The teacher's latents, frame by frame, and the milliseconds of its own pose."""
    network, times, found = model.network, [], []
    read = image_reader(scene, model.scenes[0])
    assert isinstance(network, PoseAutoencoder)
    for image in ProgressBar(images, desc="localize", unit="img", leave=False):
        image_13HW = model.preprocessing(read(image))
        began = time.thread_time()
        latents = network.teacher.encode(image_13HW)  # type: ignore[operator]
        network.teacher.regress(latents)  # type: ignore[operator]
        times.append(1e3 * (time.thread_time() - began))
        found.append(latents)
    return found, statistics.median(times)


def errors_with(
    network: PoseAutoencoder, pair: tuple[int, float], latents: Latents, ground_truth_poses: list[Pose]
) -> ErrorSummary:
    network.neighbours, network.ridge = pair
    outputs = [network.poses_from_latents(one) for one in latents]
    poses = [Pose(output["position"][0].numpy(), output["orientation"][0].numpy()) for output in outputs]
    return summarise(*pose_errors(poses, ground_truth_poses))


def refinement_milliseconds(network: PoseAutoencoder, pair: tuple[int, float], latents: Latents) -> float:
    """What `poses_from_latents` takes with this setting, less what it takes without neighbours."""
    medians = []
    for network.neighbours, network.ridge in (pair, (0, 0.0)):
        times = []
        for one in latents:
            began = time.thread_time()
            network.poses_from_latents(one)
            times.append(1e3 * (time.thread_time() - began))
        medians.append(statistics.median(times))
    return medians[0] - medians[1]


def print_grid(tried: dict[tuple[int, float], ErrorSummary]) -> None:
    print(f"{'median, metres: ridge':<24}" + "".join(f"{ridge:>9g}" for ridge in RIDGES))
    for count in sorted({count for count, _ in tried if count}):
        cells = [f"{tried[count, r].median_m:9.4f}" if (count, r) in tried else " " * 9 for r in RIDGES]
        print(f"{f'{count} neighbours':<24}" + "".join(cells))


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
"""Test-time averaging over virtual rotations: rotate the image, run the network, rotate the pose back, take the mean.

python benchmarks/virtual_averaging.py MODEL --data FORMAT:PATH --split FILE [--select val] [--rotations 2 5 10]

One network pass for each view: 1, 3 (rotated to both sides) and 7 (up, down and about the optical axis as well). Prints
the median errors of each and how well the spread of the views' poses orders the frames by their error (Spearman's
rank correlation, 1: perfectly, 0: not at all): the spread as a measure of uncertainty. Needs the camera's intrinsics.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
import torch
from scipy.stats import spearmanr

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # runs from a checkout that is not installed, too

from benchmarks import markdown
from transposenet_core.command_line import exit_code
from transposenet_core.errors import UserError
from transposenet_core.evaluation.errors import pose_errors
from transposenet_core.formats import load_scene
from transposenet_core.geometry.pose import Pose
from transposenet_core.geometry.pose_averaging import mean_orientation
from transposenet_core.geometry.quaternions import product, rotation_vectors
from transposenet_core.localizer import choose_device
from transposenet_core.preprocessing import mean_colour, normalise
from transposenet_core.scene_model import SceneModel
from transposenet_core.training.augmentation.virtual_rotation import rotated_view, sampled_rotation
from transposenet_core.training.config import VirtualRotationConfig
from transposenet_core.training.data.pixels import PosedPixels, load_pixels

# Yaw, pitch, roll as shares of the rotation; the first view is the image itself.
SIDES = ((0, 0, 0), (1, 0, 0), (-1, 0, 0), (0, 1, 0), (0, -1, 0), (0, 0, 1), (0, 0, -1))
COUNTS = (3, 7)


def rotations(degrees: float) -> torch.Tensor:
    """The views' rotations D (V, 4), w x y z: ``R_map_camera' = R_map_camera D``."""
    limits = VirtualRotationConfig(degrees, degrees, degrees)
    return sampled_rotation((torch.tensor(SIDES, dtype=torch.float32) + 1) / 2, limits)


@torch.inference_mode()
def predictions(model: SceneModel, pixels: PosedPixels, rotation_V4: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Positions (N, V, 3) and orientations (N, V, 4), rotated back, of every image's views."""
    assert pixels.camera is not None
    device = pixels.position_N3.device
    mean, size = mean_colour(device), model.preprocessing.image_size
    inverse_V4 = rotation_V4 * rotation_V4.new_tensor([1.0, -1.0, -1.0, -1.0])
    positions, orientations = [], []
    for image_3HW in pixels.image_N3HW:
        image = (image_3HW.to(device).float() - mean)[0].expand(len(rotation_V4), -1, -1, -1)
        output = model.network(normalise(rotated_view(image, rotation_V4, pixels.camera, size) + mean))
        positions.append(output["position"])
        orientations.append(product(output["orientation"], inverse_V4))
    return torch.stack(positions), torch.stack(orientations)


def compare(args: argparse.Namespace) -> None:
    model = SceneModel.load(args.model)
    device = choose_device(args.device)
    model.network.to(device).eval()
    scene = load_scene(args.data, args.split)
    images = scene.select(args.select)
    if not images:
        raise UserError(f"{args.split or args.data}: no {args.select} frames; choose others with --select")
    if scene.intrinsics is None:
        raise UserError(
            f"scene {scene.name} ({scene.root}) has no intrinsics, which virtual rotation needs; add them to the data"
        )
    pixels = load_pixels(images, model.preprocessing, threads=0, camera=scene.intrinsics).to(device)
    of_camera = scene if model.scenes[0].T_pose_camera is None else scene.of_the_camera()  # as the model was trained
    ground_truth_poses = [image.pose for image in of_camera.select(args.select)]
    rows: list[tuple[str, ...]] = []
    for degrees in args.rotations:
        position_NV3, orientation_NV4 = predictions(model, pixels, rotations(degrees).to(device))
        if not rows:
            rows.append(_row("1 (the image)", position_NV3[:, :1], orientation_NV4[:, :1], ground_truth_poses))
        for count in COUNTS:
            name = f"{count}, rotated by {degrees:g} deg"
            rows.append(_row(name, position_NV3[:, :count], orientation_NV4[:, :count], ground_truth_poses))
    print(markdown.table(("views", "median", "median", "spread orders position error", "orientation error"), rows))


def _row(
    name: str, position_NV3: torch.Tensor, orientation_NV4: torch.Tensor, ground_truth_poses: list[Pose]
) -> tuple[str, ...]:
    position_N3, orientation_N4 = position_NV3.double().mean(dim=1), mean_orientation(orientation_NV4)
    poses = [Pose(p, q) for p, q in zip(position_N3.cpu().numpy(), orientation_N4.cpu().numpy(), strict=True)]
    errors_m, errors_deg = pose_errors(poses, ground_truth_poses)
    median = f"{np.median(errors_m):.3f} m", f"{np.median(errors_deg):.2f} deg"
    if position_NV3.shape[1] == 1:
        return name, *median, "-", "-"
    spread_m = (position_NV3.double() - position_N3[:, None]).norm(dim=-1).mean(dim=1)
    spread_rad = rotation_vectors(orientation_NV4.double(), orientation_N4[:, None]).norm(dim=-1).mean(dim=1)
    ranked = (spread_m, errors_m), (spread_rad, errors_deg)
    return name, *median, *(f"{spearmanr(spread.cpu().numpy(), errors).statistic:.2f}" for spread, errors in ranked)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, metavar="MODEL", help="a scene model's folder")
    parser.add_argument("--data", required=True, metavar="FORMAT:PATH")
    parser.add_argument("--split", help="a CSV 'split,image'; default: the data set's own split")
    parser.add_argument("--select", default="val", help="which frames, default: %(default)s")
    parser.add_argument("--rotations", type=float, nargs="+", default=[2.0, 5.0, 10.0], metavar="DEG")
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda", "auto"])
    args = parser.parse_args(arguments)
    return exit_code(lambda: compare(args))


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
"""What a user would take instead of a network with refinement: SIFT, depth and PnP, on the same frames in the same run.

python benchmarks/versus_geometry.py --data MAP --priors FILE.csv [--select test] [--every 4] [--images 40]

MAP is a data set with depth; FILE.csv the network's predictions on its --select frames. SIFT features of a query are
matched with those of the three database images nearest to the network's pose (given to all methods, so none has to
search), the depth of a match makes it a point, and PnP in RANSAC finds the pose: OpenCV's EPnP, and poselib's LO-RANSAC
where it is installed. The database is every training frame that is a keyframe of the refinement, at full size.
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # runs from a checkout that is not installed, too

from benchmarks import markdown
from benchmarks.refined_predictions import add_arguments, read_priors
from transposenet_core.command_line import exit_code
from transposenet_core.errors import UserError
from transposenet_core.evaluation.errors import pose_errors
from transposenet_core.evaluation.offline_result import FAR_OFF
from transposenet_core.formats import load_scene
from transposenet_core.geometry.intrinsics import Intrinsics
from transposenet_core.geometry.pose import Pose
from transposenet_core.geometry.undistortion import Undistorter
from transposenet_core.image_files import image_stem
from transposenet_core.preprocessing import read_rectified
from transposenet_core.progress import ProgressBar
from transposenet_core.refinement import Refiner
from transposenet_core.scene import unit_name
from transposenet_core.training.data.depth import registered_depth
from transposenet_core.training.keyframes import make_keyframes

FEATURES, RATIO, REPROJECTION_PX, ITERATIONS, NEIGHBOURS = 1000, 0.8, 8.0, 500, 3
LEAST_MATCHES = 12


class Known(NamedTuple):
    """An image of the database: descriptors of its features that have depth, and their points in the map."""

    pose: Pose
    descriptors_MD: np.ndarray
    points_M3: np.ndarray


def known_image(image_HW3: np.ndarray, depth_HW: np.ndarray, camera: Intrinsics, pose: Pose, sift: Any) -> Known:
    found, descriptors = sift.detectAndCompute(cv2.cvtColor(image_HW3, cv2.COLOR_RGB2GRAY), None)
    pixels_M2 = np.array([k.pt for k in found]).reshape(-1, 2)
    columns_M, rows_M = np.rint(pixels_M2 * depth_HW.shape[1] / camera.width).astype(int).T
    inside = np.minimum(rows_M, depth_HW.shape[0] - 1), np.minimum(columns_M, depth_HW.shape[1] - 1)
    z_M = depth_HW[inside].astype(np.float64)
    kept = z_M > 0
    ray_M2 = (pixels_M2 - [camera.cx, camera.cy]) / [camera.fx, camera.fy]
    local_M3 = np.column_stack((ray_M2 * z_M[:, None], z_M))[kept]
    return Known(pose, descriptors[kept], local_M3 @ pose.rotation_33.T + pose.position)


def matched(query: Any, near: list[Known]) -> tuple[np.ndarray, np.ndarray]:
    """Pixels (M, 2) of the query and points (M, 3) that match them by Lowe's ratio."""
    found, descriptors = query
    pixels, points = [], []
    for known in near:
        for pair in cv2.BFMatcher().knnMatch(descriptors, known.descriptors_MD, k=2):
            if len(pair) == 2 and pair[0].distance < RATIO * pair[1].distance:
                pixels.append(found[pair[0].queryIdx].pt)
                points.append(known.points_M3[pair[0].trainIdx])
    return np.array(pixels).reshape(-1, 2), np.array(points).reshape(-1, 3)


def by_opencv(pixels_M2: np.ndarray, points_M3: np.ndarray, camera: Intrinsics) -> Pose | None:
    found, rotation, translation, inliers = cv2.solvePnPRansac(
        points_M3,
        pixels_M2,
        camera.matrix_33,
        np.zeros(4),
        reprojectionError=REPROJECTION_PX,
        iterationsCount=ITERATIONS,
        flags=cv2.SOLVEPNP_EPNP,
    )
    if not found or inliers is None or len(inliers) < LEAST_MATCHES:
        return None
    rotation, translation = cv2.solvePnPRefineLM(
        points_M3[inliers[:, 0]], pixels_M2[inliers[:, 0]], camera.matrix_33, np.zeros(4), rotation, translation
    )
    return _from_camera(cv2.Rodrigues(rotation)[0], np.asarray(translation).ravel())


def by_poselib(pixels_M2: np.ndarray, points_M3: np.ndarray, camera: Intrinsics) -> Pose | None:
    import poselib

    described = {
        "model": "PINHOLE",
        "width": camera.width,
        "height": camera.height,
        "params": [camera.fx, camera.fy, camera.cx, camera.cy],
    }
    options = {"max_reproj_error": REPROJECTION_PX, "max_iterations": ITERATIONS}
    found, info = poselib.estimate_absolute_pose(pixels_M2, points_M3, described, options, {})
    found = getattr(found, "pose", found)
    return _from_camera(found.R, found.t) if sum(info["inliers"]) >= LEAST_MATCHES else None


def _from_camera(R: np.ndarray, t: np.ndarray) -> Pose:
    T_44 = np.eye(4)
    T_44[:3, :3], T_44[:3, 3] = R.T, -R.T @ t
    return Pose.from_matrix(T_44)


def main(args: argparse.Namespace) -> None:
    cv2.setNumThreads(1)
    scene, priors = load_scene(args.data, args.split), read_priors(args.priors)
    mount, seen = scene.T_pose_camera, scene.of_the_camera()
    made = make_keyframes(seen, args.images, 2)
    if made is None or seen.intrinsics is None or seen.depth_camera is None:
        raise UserError(f"{args.data}: its training frames have no depth")
    undistorter, sift = Undistorter(seen.intrinsics), cv2.SIFT_create(FEATURES)
    camera, refiner = undistorter.rectified, Refiner(made.keyframes)
    half = camera.resized(camera.width // 2, camera.height // 2)
    database = [
        known_image(
            read_rectified(i.path, undistorter), registered_depth(i, seen.depth_camera, half), camera, i.pose, sift
        )
        for i in ProgressBar(made.images, desc="database", unit="img", leave=False)
    ]
    solvers: dict[str, Callable[..., Pose | None]] = {"SIFT, depth, OpenCV PnP": by_opencv}
    if importlib.util.find_spec("poselib"):
        solvers["SIFT, depth, poselib LO-RANSAC"] = by_poselib
    names = ["network", "network, refined", *solvers]
    poses: dict[str, list[Pose | None]] = {name: [] for name in names}
    seconds: dict[str, list[float]] = {name: [] for name in names[1:]}
    images = seen.select(args.select)[:: args.every]
    for image in ProgressBar(images, desc="compare", unit="img", leave=False):
        image_HW3, labelled = read_rectified(image.path, undistorter), priors[image_stem(image.name)].pose
        assert labelled is not None  # prediction files have one of each image
        prior = labelled @ mount if mount else labelled
        poses["network"].append(prior)
        started = time.perf_counter()
        found = refiner.refine(image_HW3, camera, [prior])
        seconds["network, refined"].append(time.perf_counter() - started)
        poses["network, refined"].append(found.pose if found.accepted else None)
        near = [database[k] for k in refiner.index.nearest(prior, camera, NEIGHBOURS)]
        started = time.perf_counter()
        query = sift.detectAndCompute(cv2.cvtColor(image_HW3, cv2.COLOR_RGB2GRAY), None)
        pixels_M2, points_M3 = matched(query, near)
        matching = time.perf_counter() - started
        for name, solve in solvers.items():
            started = time.perf_counter()
            poses[name].append(solve(pixels_M2, points_M3, camera) if len(points_M3) >= LEAST_MATCHES else None)
            seconds[name].append(matching + time.perf_counter() - started)
    ground_truth, rows = [image.pose for image in images], []
    for name in names:
        pairs = [(pose, true) for pose, true in zip(poses[name], ground_truth, strict=True) if pose is not None]
        position_M, rotation_M = pose_errors([pose for pose, _ in pairs], [true for _, true in pairs])
        rows.append(
            [
                name,
                f"{len(pairs) / len(images):.1%}",
                f"{np.median(position_M):.4f} / {np.median(rotation_M):.3f}",
                f"{np.quantile(position_M, 0.95):.3f} / {np.quantile(rotation_M, 0.95):.2f}",
                f"{np.mean(position_M > FAR_OFF):.1%}",
                f"{1000 * np.median(seconds[name]):.1f}" if name in seconds else "",
            ]
        )
    unit = unit_name(scene.units)
    header = ["", "localized", f"median ({unit}, deg)", "p95", f"> {FAR_OFF} {unit}", "ms, one core"]
    print(f"{len(images)} frames of {scene.name}, {len(database)} images in the database")
    print(markdown.table(header, rows))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_arguments(parser)
    parser.add_argument("--every", type=int, default=1, help="every n-th of these frames")
    parser.add_argument("--images", type=int, default=500, help="of the database, at most")
    sys.exit(exit_code(lambda: main(parser.parse_args())))

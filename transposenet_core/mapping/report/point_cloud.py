"""The coloured point cloud of a scene with depth images, of bounded size, made frame by frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from transposenet_core.mapping.report.depth_points import DepthReader, Points
from transposenet_core.mapping.report.ply import write_ply
from transposenet_core.mapping.report.thinning import VoxelThinning
from transposenet_core.progress import ProgressBar
from transposenet_core.scene import PosedImage, Scene

MOST_POINTS = 2_000_000
# Points that are looked at for each one that is kept, and at least of a frame: more make a long recording slow.
LOOKED_AT, LEAST_OF_A_FRAME = 10, 1000
# What lies nearer or farther than all but these shares of the depths, and a half more, is a mistake.
OUTLIERS, MARGIN = (0.1, 99.9), 1.5
SAMPLED_FRAMES = 300  # to find that range
FINEST = 0.005  # edge of the smallest voxel of a thinner cloud, of the distance


def write_point_cloud(
    path: str | Path, scene: Scene, most: int = MOST_POINTS, split: str = "train", progress: bool = True
) -> Points:
    """Write the coloured points of all depth images of a split to a PLY file, in the map frame; returns them.

    `scene` has the poses that its depth belongs to (the adjusted ones). At most `most` points: the mean of those in
    voxels whose edge grows with the distance. Frames are read one at a time. UserError where the scene has no depth
    camera or intrinsics, or an image or a depth image cannot be read.
    """
    points = collect_points(scene, most, split, progress)
    write_ply(path, points, [f"{scene.name}, map frame {scene.map_frame}, {scene.units}"])
    return points


def collect_points(scene: Scene, most: int = MOST_POINTS, split: str = "train", progress: bool = True) -> Points:
    """The points that `write_point_cloud` writes."""
    reader = DepthReader(scene)
    frames = [image for image in reader.frames if split in ("all", image.split)]
    nearest, farthest = depth_range(reader, frames)
    of_a_frame = max(LEAST_OF_A_FRAME, LOOKED_AT * most // max(len(frames), 1))
    pinhole = reader.depth_camera.intrinsics
    thinning = VoxelThinning(most, 1 / max(pinhole.fx, pinhole.fy))
    bar = ProgressBar(frames, desc="point cloud", unit="img", leave=False, disable=not progress)
    for number, image in enumerate(bar):
        points = reader.points(image, of_a_frame, number)
        thinning.add(chosen(points, (points.depth_P >= nearest) & (points.depth_P <= farthest)))
    return thinning.result()


def thinned(points: Points, most: int) -> Points:
    """At most `most` of the points of a cloud, as evenly spread as they were; the same cloud where it is smaller."""
    if len(points.depth_P) <= most:
        return points
    thinning = VoxelThinning(most, FINEST)
    thinning.add(points)
    return thinning.result()


def depth_range(reader: DepthReader, frames: Sequence[PosedImage]) -> tuple[float, float]:
    """Nearest and farthest depth that is believed, in the scene's units, from some of the frames."""
    step = -(-len(frames) // SAMPLED_FRAMES) or 1
    logs = []
    for image in frames[::step]:
        depth_HW = reader.rectified(image)[0]
        logs.append(np.log(depth_HW[depth_HW > 0][::7]))
    log_N = np.concatenate(logs) if logs else np.empty(0)
    if not len(log_N):
        return 0.0, np.inf
    low, high = np.exp(np.percentile(log_N, OUTLIERS))
    return float(low / MARGIN), float(high * MARGIN)


def chosen(points: Points, keep_P: np.ndarray) -> Points:
    """The points of a cloud that `keep_P`, (P,) bool or indices, names."""
    return replace(
        points,
        position_P3=points.position_P3[keep_P],
        colour_P3=points.colour_P3[keep_P],
        depth_P=points.depth_P[keep_P],
    )

#!/usr/bin/env python3
"""The position of the depth camera relative to the colour camera, from depth discontinuities and colour edges.

python benchmarks/depth_offset.py --data 7scenes:PATH [--split FILE] [--frames 100] [--range 0.05] [--step 0.005]

Points on the near side of discontinuities in the depth images are projected into the colour images for offsets of the
depth camera along the image's x and y axes, and the square root of the colour gradient at these points is averaged
(1: the gradient's mean). At the right offset they lie on edges and the value is largest. Only training frames are used.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import cv2
import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # runs from a checkout that is not installed, too

from benchmarks import markdown
from transposenet_core.command_line import exit_code
from transposenet_core.errors import UserError
from transposenet_core.formats import load_scene
from transposenet_core.geometry.intrinsics import Intrinsics
from transposenet_core.geometry.undistortion import Undistorter
from transposenet_core.scene import PosedImage, Scene
from transposenet_core.training.data.depth import rectified_depth

JUMP = 0.15  # of the nearer depth
SMOOTH_PX = 1.5  # of the gradient
AXES = {"x": 0, "y": 1}


def grey(path: Path | None) -> np.ndarray:
    """An image as one channel (H, W), colours as grey. UserError if the file is not an image."""
    flags = cv2.IMREAD_ANYDEPTH | cv2.IMREAD_GRAYSCALE
    image_HW = cv2.imread(str(path), flags)
    if image_HW is None:
        raise UserError(f"{path}: not an image; copy it again or leave the frame out")
    return np.asarray(image_HW)


def jumps(depth_HW: np.ndarray, pinhole: Intrinsics, axis: int) -> np.ndarray:
    """Points (N, 3) in the depth camera's frame, metres, at discontinuities along the image's `axis` (0: x, 1: y)."""
    a_HW = depth_HW if axis == 0 else depth_HW.T
    left, right = a_HW[:, :-1], a_HW[:, 1:]
    nearer = np.minimum(left, right)
    rows, columns = np.nonzero((left > 0) & (right > 0) & (np.abs(left - right) > JUMP * nearer))
    z_N, between_N = nearer[rows, columns], columns + 0.5
    u_N, v_N = (between_N, rows) if axis == 0 else (rows, between_N)
    x_N, y_N = (u_N - pinhole.cx) / pinhole.fx * z_N, (v_N - pinhole.cy) / pinhole.fy * z_N
    return np.stack((x_N, y_N, z_N), axis=1)


def gradient(image_HW: np.ndarray, axis: int) -> np.ndarray:
    """The square root of the absolute gradient (H, W) along `axis`, 1 where the gradient equals its mean."""
    smooth_HW = cv2.GaussianBlur(image_HW.astype(np.float32), (0, 0), SMOOTH_PX)
    slope = np.abs(cv2.Sobel(smooth_HW, cv2.CV_32F, 1 - axis, axis))
    return np.sqrt(slope / max(float(slope.mean()), 1e-6))


def under(gradient_HW: np.ndarray, p_camera_N3: np.ndarray, camera: Intrinsics) -> np.ndarray:
    """The gradient at the points that project into the image."""
    height, width = gradient_HW.shape
    u_N = camera.fx * p_camera_N3[:, 0] / p_camera_N3[:, 2] + camera.cx
    v_N = camera.fy * p_camera_N3[:, 1] / p_camera_N3[:, 2] + camera.cy
    inside = (u_N > 0) & (u_N < width - 1) & (v_N > 0) & (v_N < height - 1)
    where = (u_N[inside].astype(np.float32)[None], v_N[inside].astype(np.float32)[None])
    return cv2.remap(gradient_HW, *where, cv2.INTER_LINEAR)[0] if inside.any() else np.empty(0, np.float32)


def scan(scene: Scene, images: list[PosedImage], offsets_M: np.ndarray, axis: int) -> list[float]:
    """For each offset of the depth camera along `axis` the mean gradient at the discontinuities."""
    camera, depth_camera = scene.intrinsics, scene.depth_camera
    if camera is None or depth_camera is None:
        raise UserError(f"scene {scene.name} ({scene.root}) has no intrinsics or no depth images; add both")
    undistort = Undistorter(camera)
    found: list[list[np.ndarray]] = [[] for _ in offsets_M]
    for image in images:
        depth_HW, pinhole = rectified_depth(grey(image.depth_path), depth_camera.intrinsics)
        points_N3 = jumps(depth_HW * depth_camera.metres_per_unit, pinhole, axis)
        edges_HW = gradient(undistort(grey(image.path)), axis)
        for values, offset in zip(found, offsets_M, strict=True):
            values.append(under(edges_HW, points_N3 + offset * np.eye(3)[axis], camera))
    return [float(np.concatenate(values).mean()) for values in found]


def compare(args: argparse.Namespace) -> None:
    scene = load_scene(args.data, args.split)
    images = [image for image in scene.select("train") if image.depth_path]
    images = images[:: max(1, len(images) // args.frames)]
    if not images:
        raise UserError(f"scene {scene.name} ({scene.root}) has no depth images; record with a depth camera")
    offsets_M = np.arange(-args.range, args.range + args.step / 2, args.step)
    columns = {name: scan(scene, images, offsets_M, axis) for name, axis in AXES.items()}
    rows = [
        (f"{1000 * offset:+.0f} mm", *(f"{columns[name][i]:.2f}" for name in AXES))
        for i, offset in enumerate(offsets_M)
    ]
    print(markdown.table(("position in the colour camera", *(f"along {name}" for name in AXES)), rows))
    for name in AXES:
        print(f"best along {name}: {1000 * offsets_M[int(np.argmax(columns[name]))]:+.0f} mm, {len(images)} frames")


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, help="FORMAT:PATH of a scene with depth images")
    parser.add_argument("--split", help="split file")
    parser.add_argument("--frames", type=int, default=100, help="training frames to use")
    parser.add_argument("--range", type=float, default=0.05, help="metres to either side")
    parser.add_argument("--step", type=float, default=0.005, help="metres")
    args = parser.parse_args(arguments)
    return exit_code(lambda: compare(args))


if __name__ == "__main__":
    sys.exit(main())

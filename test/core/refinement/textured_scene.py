"""A recording in a folder, of the room of textured planes: images and 16-bit depth from exact poses."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from textured_planes import CAMERA, ROOM, camera_at, render

from transposenet_core.geometry.intrinsics import Intrinsics
from transposenet_core.geometry.pose import Pose
from transposenet_core.scene import DepthCamera, PosedImage, Scene

UNIT = 1e-4  # metres of a depth image's value
STRAIGHT = Pose([0, 0, 0], [1, 0, 0, 0])


def sweep(count: int) -> list[Pose]:
    """Cameras along an arc; of up to 30 each is a keyframe of its own, of 40 each other one."""
    share_N = np.linspace(-1, 1, count)
    return [camera_at((1.1 * s, 0.1 * np.sin(9 * s), 0.1 * np.cos(5 * s)), yaw_deg=-14 * s) for s in share_N]


def textured_scene(
    folder: Path, poses: Sequence[Pose], splits: Sequence[str], camera: Intrinsics = CAMERA, with_depth: bool = True
) -> Scene:
    folder.mkdir(parents=True, exist_ok=True)
    images = []
    for number, (pose, split) in enumerate(zip(poses, splits, strict=True)):
        path, depth_path = folder / f"{number:04d}.png", folder / f"{number:04d}.depth.png"
        image_HW3, depth_HW = render(ROOM, pose, camera)
        cv2.imwrite(str(path), image_HW3[..., ::-1])
        cv2.imwrite(str(depth_path), np.rint(depth_HW * with_depth / UNIT).astype(np.uint16))
        images.append(PosedImage(path.name, path, pose, split, "a", number / 10, depth_path))
    depth_camera = DepthCamera(camera, UNIT, STRAIGHT)
    return Scene("planes", images, intrinsics=camera, depth_camera=depth_camera, root=folder)

"""Images of a box-shaped room with random walls, drawn by homographies: poses known exactly, no graphics library."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np

from transposenet_core.geometry.intrinsics import Intrinsics
from transposenet_core.geometry.pose import Pose
from transposenet_core.scene import PosedImage, Scene

CAMERA = Intrinsics(320, 240, 250.0, 250.0, 159.5, 119.5, "made", rectified=True)
K = np.array([[250.0, 0, 159.5], [0, 250.0, 119.5], [0, 0, 1]])
TEXELS = 512
# A corner and two edges of each wall; the map's z is up.
WALLS = np.array(
    [
        [[4, -3, -1.5], [0, 6, 0], [0, 0, 3]],
        [[-4, -3, -1.5], [8, 0, 0], [0, 0, 3]],
        [[-4, 3, -1.5], [8, 0, 0], [0, 0, 3]],
        [[-4, -3, -1.5], [8, 0, 0], [0, 6, 0]],
        [[-4, -3, 1.5], [8, 0, 0], [0, 6, 0]],
    ],
    np.float64,
)


def render(poses: Iterable[Pose]) -> list[np.ndarray]:
    """Images (240, 320) uint8: each pixel's ray is met with the walls, the nearest wall in front is seen."""
    rng = np.random.default_rng(5)
    small = rng.integers(0, 256, (len(WALLS), TEXELS // 6, TEXELS // 6), dtype=np.uint8)
    textures = [cv2.resize(wall, (TEXELS, TEXELS), interpolation=cv2.INTER_CUBIC) for wall in small]
    v, u = np.mgrid[0 : CAMERA.height, 0 : CAMERA.width]
    rays_HW3 = np.stack([u, v, np.ones_like(u)], -1) @ np.linalg.inv(K).T
    images = []
    for pose in poses:
        ray_HW3, nearest = rays_HW3 @ pose.rotation_33.T, np.full(u.shape, np.inf)
        image = np.zeros(u.shape, np.uint8)
        for (corner, a, b), texture in zip(WALLS, textures, strict=True):
            normal = np.cross(a, b)
            depth = ((corner - pose.position) @ normal) / (ray_HW3 @ normal + 1e-12)
            at = pose.position + depth[..., None] * ray_HW3 - corner
            s, t = (((at @ edge) / (edge @ edge) * (TEXELS - 1)).astype(np.float32) for edge in (a, b))
            seen = (depth > 0) & (depth < nearest)
            image[seen] = cv2.remap(texture, s, t, cv2.INTER_LINEAR)[seen]
            nearest[seen] = depth[seen]
        images.append(image)
    return images


def made_scene(folder: Path, poses: list[Pose], rate: float = 10.0) -> Scene:
    """A scene of the room, its images written to `folder`."""
    images = []
    for k, (pose, image) in enumerate(zip(poses, render(poses), strict=True)):
        path = folder / f"{k:04d}.png"
        cv2.imwrite(str(path), image)
        images.append(PosedImage(path.name, path, pose, "train", "seq", k / rate))
    return Scene("room", images, intrinsics=CAMERA, root=folder)

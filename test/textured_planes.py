"""Images and exact depth of textured rectangles, and the sparse map of them: geometry that needs no graphics."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from scipy.spatial.transform import Rotation

from transposenet_core.geometry.intrinsics import Intrinsics
from transposenet_core.geometry.pose import Pose
from transposenet_core.mapping.sparse_map import MappedFrame, SparseMap
from transposenet_core.scene import PosedImage

CAMERA = Intrinsics(160, 120, 140.0, 140.0, 79.5, 59.5, rectified=True)
FINER = 2  # rays along each side of a pixel


@dataclass(frozen=True, eq=False)
class Rectangle:
    """``corner_3`` plus 0..1 of each of two ``sides_23``, in the map; ``texture_HW3`` uint8 covers it."""

    corner_3: np.ndarray
    sides_23: np.ndarray
    texture_HW3: np.ndarray

    def moved(self, by_3: Sequence[float]) -> Rectangle:
        return Rectangle(self.corner_3 + np.asarray(by_3), self.sides_23, self.texture_HW3)


def rectangle(corner: Sequence[float], side_a: Sequence[float], side_b: Sequence[float], seed: int) -> Rectangle:
    """One whose texture has blotches of all sizes; `seed` -1: none at all."""
    sides_23 = np.array([side_a, side_b], float)
    if seed < 0:
        return Rectangle(np.array(corner, float), sides_23, np.full((8, 8, 3), 150, np.uint8))
    rng, texture_HW3 = np.random.default_rng(seed), np.zeros((512, 512, 3))
    for size, weight in ((8, 1.0), (24, 1.0), (64, 0.8), (160, 0.6)):
        blotches_HW3 = rng.uniform(-1, 1, (size, size, 3))
        texture_HW3 += weight * cv2.resize(blotches_HW3, (512, 512), interpolation=cv2.INTER_CUBIC)
    return Rectangle(np.array(corner, float), sides_23, np.uint8(np.clip(128 + 55 * texture_HW3, 0, 255)))


def camera_at(position: Sequence[float], yaw_deg: float = 0.0, pitch_deg: float = 0.0) -> Pose:
    """A camera that looks along the map's z axis; y is down, as in its own frame."""
    rotation = Rotation.from_euler("YX", [yaw_deg, pitch_deg], degrees=True)
    return Pose(np.array(position, float), rotation.as_quat(scalar_first=True))


def render(rectangles: Sequence[Rectangle], pose: Pose, camera: Intrinsics = CAMERA) -> tuple[np.ndarray, np.ndarray]:
    """The image (H, W, 3) uint8, a mean over finer rays, and the depth (H, W) of its pixels' centres; 0: nothing."""
    fine = camera.resized(camera.width * FINER, camera.height * FINER)
    image_HW3, _ = _cast(rectangles, pose, fine)
    image_HW3 = cv2.resize(image_HW3, (camera.width, camera.height), interpolation=cv2.INTER_AREA)
    return np.uint8(np.rint(image_HW3)), _cast(rectangles, pose, camera)[1]


def _cast(rectangles: Sequence[Rectangle], pose: Pose, camera: Intrinsics) -> tuple[np.ndarray, np.ndarray]:
    y_HW, x_HW = np.indices((camera.height, camera.width), dtype=float)
    ray_HW3 = np.stack(((x_HW - camera.cx) / camera.fx, (y_HW - camera.cy) / camera.fy, np.ones_like(x_HW)), axis=2)
    ray_HW3 = ray_HW3 @ pose.rotation_33.T
    depth_HW, image_HW3 = np.full(x_HW.shape, np.inf), np.zeros((*x_HW.shape, 3), np.float32)
    for one in rectangles:
        normal_3 = np.cross(*one.sides_23)
        with np.errstate(divide="ignore", invalid="ignore"):
            z_HW = ((one.corner_3 - pose.position) @ normal_3) / (ray_HW3 @ normal_3)
            place_HW3 = pose.position + z_HW[..., None] * ray_HW3 - one.corner_3
            a_HW, b_HW = (place_HW3 @ side_3 / (side_3 @ side_3) for side_3 in one.sides_23)
            hit_HW = (z_HW > 1e-6) & (z_HW < depth_HW) & (a_HW >= 0) & (a_HW <= 1) & (b_HW >= 0) & (b_HW <= 1)
        size = one.texture_HW3.shape[0] - 1
        u_HW, v_HW = (np.where(hit_HW, t_HW * size, 0).astype(np.float32) for t_HW in (a_HW, b_HW))
        image_HW3[hit_HW] = cv2.remap(one.texture_HW3, u_HW, v_HW, cv2.INTER_LINEAR)[hit_HW]
        depth_HW[hit_HW] = z_HW[hit_HW]
    return image_HW3, np.where(np.isfinite(depth_HW), depth_HW, 0)


def record(
    folder: Path,
    poses: Sequence[Pose],
    rectangles_at: Callable[[int], Sequence[Rectangle]],
    camera: Intrinsics = CAMERA,
    gain: Callable[[int], float] = lambda number: 1.0,
) -> tuple[SparseMap, list[np.ndarray]]:
    """Images of the rectangles there are at each frame, their sparse map (points of the exact depth of what does not
    move, as the first frame has it) and the exact depths."""
    folder.mkdir(parents=True, exist_ok=True)
    images, depths = [], []
    for number, pose in enumerate(poses):
        image_HW3, depth_HW = render(rectangles_at(number), pose, camera)
        name = f"{number:04d}.png"
        cv2.imwrite(str(folder / name), np.uint8(np.clip(image_HW3[..., ::-1] * gain(number), 0, 255)))
        images.append(PosedImage(name, folder / name, pose, "train", "a", number / 10))
        depths.append(depth_HW)
    return sparse_map(images, depths, camera), depths


def sparse_map(images: Sequence[PosedImage], depths: Sequence[np.ndarray], camera: Intrinsics) -> SparseMap:
    """Points of all depth images, each seen by the frames that have that depth there."""
    rng, points = np.random.default_rng(0), []
    for image, depth_HW in zip(images, depths, strict=True):
        rows_K, columns_K = (rng.integers(0, size, 40) for size in depth_HW.shape)
        z_K = depth_HW[rows_K, columns_K]
        x_K, y_K = (columns_K - camera.cx) / camera.fx, (rows_K - camera.cy) / camera.fy
        p_K3 = np.stack((x_K * z_K, y_K * z_K, z_K), axis=1)
        points.append(p_K3[z_K > 0] @ image.pose.rotation_33.T + image.pose.position)
    point_P3 = np.concatenate(points)
    frames = []
    for image, depth_HW in zip(images, depths, strict=True):
        p_P3 = (point_P3 - image.pose.position) @ image.pose.rotation_33
        z_P = np.maximum(p_P3[:, 2], 1e-9)
        x_P, y_P = camera.fx * p_P3[:, 0] / z_P + camera.cx, camera.fy * p_P3[:, 1] / z_P + camera.cy
        inside_P = (p_P3[:, 2] > 0) & (x_P > 0) & (y_P > 0) & (x_P < camera.width - 1) & (y_P < camera.height - 1)
        there_P = np.zeros(len(point_P3))
        there_P[inside_P] = depth_HW[np.rint(y_P[inside_P]).astype(int), np.rint(x_P[inside_P]).astype(int)]
        seen_K = np.flatnonzero(inside_P & (np.abs(there_P - z_P) < 0.02 * z_P))
        frames.append(MappedFrame(image, image.pose, seen_K, np.stack((x_P[seen_K], y_P[seen_K]), axis=1)))
    return SparseMap(frames, camera, point_P3, np.zeros(len(point_P3)))


# A back wall at 4 m, a floor, a box 1.5 m in front of the cameras.
WALL = rectangle((-5, -3, 4), (10, 0, 0), (0, 5, 0), 1)
FLOOR = rectangle((-5, 1, 0.5), (10, 0, 0), (0, 0, 4), 2)
BOX = rectangle((-0.5, 0.2, 2.2), (0.7, 0, 0.2), (0, 0.8, 0), 3)
ROOM = [WALL, FLOOR, BOX]
ARC = [camera_at((0.07 * k - 0.4, 0.05 * np.sin(k), 0.02 * np.cos(2 * k)), yaw_deg=-1.2 * k + 7) for k in range(12)]

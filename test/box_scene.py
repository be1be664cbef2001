"""Images and depth of a box seen from inside, by arithmetic: every wall has one colour, every depth is exact."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from scipy.spatial.transform import Rotation

from transposenet_core.geometry.intrinsics import Intrinsics
from transposenet_core.geometry.pose import Pose
from transposenet_core.scene import DepthCamera, PosedImage, Scene

COLOUR_CAMERA = Intrinsics(160, 120, 130.0, 130.0, 79.5, 59.5, "made", rectified=True)
DEPTH_CAMERA = Intrinsics(80, 60, 65.0, 65.0, 39.5, 29.5, "made", rectified=True)
BOX = np.array([6.0, 5.0, 3.0])  # from the origin along the map's axes; z is up
# By wall: x = 0, x = 6, y = 0, y = 5, z = 0, z = 3.
WALL_COLOURS = np.array(
    [[200, 40, 40], [40, 200, 40], [40, 40, 200], [200, 200, 40], [120, 80, 40], [230, 230, 230]], np.uint8
)
STRAIGHT = Pose([0, 0, 0], [1, 0, 0, 0])
LEVEL = Rotation.from_matrix([[0, 0, 1], [-1, 0, 0], [0, -1, 0]])  # looks along the map's x, z is up


def views(count: int, seed: int = 0) -> list[Pose]:
    """Cameras in the middle third of the box that look everywhere along the level."""
    rng = np.random.default_rng(seed)
    yaws = Rotation.from_euler("ZY", np.column_stack([np.linspace(0, 300, count), rng.uniform(-15, 15, count)]), True)
    positions = BOX * rng.uniform(0.35, 0.65, (count, 3))
    return [Pose(p, q) for p, q in zip(positions, (yaws * LEVEL).as_quat(scalar_first=True), strict=True)]


def box_scene(
    folder: Path,
    poses: Sequence[Pose],
    T_camera_depth: Pose = STRAIGHT,
    scale: float = 1.0,
    origin_3: Sequence[float] = (0, 0, 0),
    split: str = "train",
) -> Scene:
    """A scene of the box, its images and 16-bit depth written to `folder`; positions and depths times `scale`, then the
    map's origin moved by `origin_3`."""
    folder.mkdir(parents=True, exist_ok=True)
    images, unit = [], 1e-4 * scale
    for number, pose in enumerate(poses):
        path, depth_path = folder / f"{number:04d}.png", folder / f"{number:04d}.depth.png"
        _, wall_HW = seen(pose, COLOUR_CAMERA)
        cv2.imwrite(str(path), WALL_COLOURS[wall_HW][..., ::-1])
        depth_HW, _ = seen(pose @ T_camera_depth, DEPTH_CAMERA)
        cv2.imwrite(str(depth_path), np.rint(depth_HW * scale / unit).astype(np.uint16))
        moved = Pose(pose.position * scale + np.asarray(origin_3), pose.orientation)
        images.append(PosedImage(path.name, path, moved, split, "seq", number / 10, depth_path))
    T = Pose(T_camera_depth.position * scale, T_camera_depth.orientation)
    return Scene("box", images, intrinsics=COLOUR_CAMERA, depth_camera=DepthCamera(DEPTH_CAMERA, unit, T), root=folder)


def seen(pose: Pose, camera: Intrinsics) -> tuple[np.ndarray, np.ndarray]:
    """Depth (H, W) along the optical axis and wall (H, W) 0..5 that each pixel sees."""
    v, u = np.mgrid[0 : camera.height, 0 : camera.width]
    rays_HW3 = np.stack([(u - camera.cx) / camera.fx, (v - camera.cy) / camera.fy, np.ones(u.shape)], axis=-1)
    rays_HW3 = rays_HW3 @ pose.rotation_33.T
    rays_HW3[np.abs(rays_HW3) < 1e-12] = 1e-12
    far_HW3 = np.where(rays_HW3 > 0, BOX, 0.0)
    depth_HW3 = (far_HW3 - pose.position) / rays_HW3
    axis_HW = depth_HW3.argmin(axis=-1)
    ahead_HW = np.take_along_axis(rays_HW3, axis_HW[..., None], -1)[..., 0] > 0
    return depth_HW3.min(axis=-1), 2 * axis_HW + ahead_HW


def wall_distances(position_P3: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How far each point (P, 3) is from the nearest wall, and which wall that is."""
    distance_P6 = np.abs(np.stack([position_P3, BOX - position_P3], axis=-1).reshape(-1, 6))
    return distance_P6.min(axis=1), distance_P6.argmin(axis=1)

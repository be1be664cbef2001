"""The depth image of a frame as coloured points of the map."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from transposenet_core.errors import UserError
from transposenet_core.geometry.intrinsics import Intrinsics
from transposenet_core.geometry.undistortion import Undistorter
from transposenet_core.preprocessing import read_rectified
from transposenet_core.scene import PosedImage, Scene
from transposenet_core.training.data.depth import measured_depth

# A pixel that fewer neighbours (of 8) share the depth of, within this share of it, floats between near and far.
LEAST_NEIGHBOURS, SAME_DEPTH = 3, 0.06


@dataclass(frozen=True, eq=False)
class Points:
    """``position_P3`` (P, 3) float64 in the map, ``colour_P3`` (P, 3) uint8 RGB, ``depth_P`` (P,) float64: how far
    along the optical axis of the depth camera each was seen. Lengths are in the units of the scene."""

    position_P3: np.ndarray
    colour_P3: np.ndarray
    depth_P: np.ndarray


class DepthReader:
    """Turns the frames of a scene that have a depth image into points, with the poses of the scene's cameras.

    `scene` has intrinsics and a depth camera; its poses are those that its depth belongs to. UserError without.
    """

    def __init__(self, scene: Scene) -> None:
        if scene.intrinsics is None or scene.depth_camera is None:
            lacks = "intrinsics" if scene.intrinsics is None else "depth camera"
            raise UserError(f"scene {scene.name} ({scene.root}) has no {lacks}; its depth images cannot be shown")
        self._camera = scene.of_the_camera()
        self.frames = [image for image in self._camera.images if image.depth_path is not None]
        self.depth_camera = scene.depth_camera
        self._undistorter = Undistorter(scene.intrinsics)

    def rectified(self, image: PosedImage) -> tuple[np.ndarray, Intrinsics]:
        """Depth (H, W) float64 in the scene's units without the lens's distortion, 0 where there is none, and its
        pinhole. UserError as `measured_depth`."""
        assert image.depth_path is not None
        return measured_depth(image.depth_path, self.depth_camera)

    def points(self, image: PosedImage, most: int, phase: int = 0) -> Points:
        """At most about `most` points of a frame, on a grid of pixels that `phase`, a number, shifts; points beside the
        colour image are left out. UserError as `rectified` and `image`."""
        depth_HW, pinhole = self.rectified(image)
        depth_HW = np.where(isolated(depth_HW), 0.0, depth_HW)
        step = max(1, int(np.ceil(np.sqrt(np.count_nonzero(depth_HW) / max(most, 1)))))
        first_row, first_column = divmod(phase % step**2, step)
        rows_N, columns_N = np.nonzero(depth_HW[first_row::step, first_column::step])
        rows_N, columns_N = rows_N * step + first_row, columns_N * step + first_column
        z_N = depth_HW[rows_N, columns_N]
        rays_N3 = np.column_stack(
            [(columns_N - pinhole.cx) / pinhole.fx, (rows_N - pinhole.cy) / pinhole.fy, np.ones_like(z_N)]
        )
        T_camera_depth = self.depth_camera.T_camera_depth
        p_camera_N3 = (rays_N3 * z_N[:, None]) @ T_camera_depth.rotation_33.T + T_camera_depth.position
        seen_N, colour_S3 = self._colours(image, p_camera_N3)
        p_map_S3 = p_camera_N3[seen_N] @ image.pose.rotation_33.T + image.pose.position
        return Points(p_map_S3, colour_S3, z_N[seen_N])

    def image(self, image: PosedImage) -> np.ndarray:
        """The colour image (H, W, 3) uint8 without its lens's distortion. UserError as `read_rectified`."""
        return read_rectified(image.path, self._undistorter)

    def _colours(self, image: PosedImage, p_camera_N3: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Which points (N,) bool lie in the colour image, and the colours (S, 3) uint8 of those."""
        image_HW3 = self.image(image)
        height, width = image_HW3.shape[:2]
        camera = _resized(self._undistorter.rectified, width, height)
        z_N = np.maximum(p_camera_N3[:, 2], 1e-12)
        columns_N = np.rint(camera.fx * p_camera_N3[:, 0] / z_N + camera.cx)
        rows_N = np.rint(camera.fy * p_camera_N3[:, 1] / z_N + camera.cy)
        seen_N = (p_camera_N3[:, 2] > 0) & (columns_N >= 0) & (columns_N < width) & (rows_N >= 0) & (rows_N < height)
        return seen_N, image_HW3[rows_N[seen_N].astype(int), columns_N[seen_N].astype(int)]


def isolated(depth_HW: np.ndarray) -> np.ndarray:
    """(H, W) bool: pixels whose depth too few of the neighbours share; at the border, neighbours are repeated."""
    rows, columns = depth_HW.shape
    padded = np.pad(depth_HW, 1, mode="edge")
    shared_HW = np.zeros(depth_HW.shape, np.int8)
    for row in range(3):
        for column in range(3):
            if (row, column) != (1, 1):
                other_HW = padded[row : row + rows, column : column + columns]
                shared_HW += np.abs(other_HW - depth_HW) <= SAME_DEPTH * depth_HW
    return (depth_HW > 0) & (shared_HW < LEAST_NEIGHBOURS)


@lru_cache(maxsize=8)
def _resized(camera: Intrinsics, width: int, height: int) -> Intrinsics:
    return camera.for_images(width, height)

"""Registers depth images to the colour camera, as the network learns from them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
import torch

from transposenet_core.errors import UserError
from transposenet_core.geometry.intrinsics import Intrinsics
from transposenet_core.geometry.nearest_pixel import nearest_known
from transposenet_core.geometry.undistortion import Undistorter
from transposenet_core.models import model_class
from transposenet_core.progress import ProgressBar
from transposenet_core.scene import DepthCamera, PosedImage, Scene
from transposenet_core.threads import in_threads
from transposenet_core.training.config import TrainConfig
from transposenet_core.training.data.distances import Distances
from transposenet_core.training.data.pixels import NO_THREADS, PosedPixels

# Depth is stored in the scene's units as float16, which keeps three digits (2 mm of 4 m, 10 cm of 200 m) within these.
NEAREST, FARTHEST = 6.2e-5, 65_000.0
SATURATED = 65535  # in a depth image: no depth either (7-Scenes), or beyond its range
LEAST_SHARE = 0.1  # of the training frames: with fewer depth images nothing is learnt from them


def needs_depth(config: TrainConfig, scene: Scene) -> bool:
    """Whether a training learns from depth or uses it to move the camera. UserError if the scene has none."""
    if model_class(config.model.name).NEEDS_DEPTH:
        check_depth(scene, f"model {config.model.name}")
        return True
    for name, value in (
        ("augmentation.virtual_translation", config.augmentation.virtual_translation),
        ("augmentation.relative_translation", config.augmentation.relative_translation),
        ("augmentation.view_completion", config.augmentation.view_completion),
        ("loss.points", config.loss.points),
    ):
        if value > 0:
            check_depth(scene, name)
            return True
    return False


def check_depth(scene: Scene, needed_by: str) -> None:
    """UserError if too few training frames have depth, which `needed_by`, a key or a model, needs."""
    computed = f"`transposenet map {scene.root} --out MAP` computes depth from colour images"
    if scene.intrinsics is None or scene.depth_camera is None:
        lacks, advice = "depth images", computed
        if scene.intrinsics is None:
            lacks, advice = "intrinsics", "give those of its camera (docs/formats.md says where)"
        elif any(image.depth_path for image in scene.images):
            lacks, advice = "intrinsics of its depth images", "give them (depth_camera.json of the layout folder)"
        where = f"scene {scene.name} ({scene.root})"
        raise UserError(f"{where} has no {lacks}, which {needed_by} needs; {advice}, or leave {needed_by} off")
    has = [image.depth_path is not None for image in scene.images if image.split == "train"]
    if sum(has) < max(LEAST_SHARE * len(has), 1):
        where = f"scene {scene.name} ({scene.root})"
        raise UserError(
            f"{where} has depth images of {sum(has)} of its {len(has)} training frames, too few for {needed_by}, which "
            f"needs them; {computed}, or leave {needed_by} off"
        )


def with_depth(
    pixels: PosedPixels, images: Sequence[PosedImage], depth_camera: DepthCamera, threads: int
) -> PosedPixels:
    """The same images with the depth of each, read in threads (0: none). UserError as in `registered_depth`.

    An image without any measured depth is guessed to be as far everywhere as the others are: its camera can be rotated,
    which needs no depth, and other images can complete it.
    """
    camera = pixels.camera
    assert camera is not None  # checked by `check_depth`

    def read(image: PosedImage) -> torch.Tensor:
        if image.depth_path is None:
            return torch.zeros((camera.height, camera.width), dtype=torch.float16)
        return torch.from_numpy(registered_depth(image, depth_camera, camera))

    depth_NHW = torch.empty((len(images), camera.height, camera.width), dtype=torch.float16)
    with in_threads(threads, NO_THREADS) as each:
        work = each(read, images)
        for number, depth_HW in enumerate(ProgressBar(work, total=len(images), desc="depth", unit="img", leave=False)):
            depth_NHW[number] = depth_HW
    distances = Distances.of(depth_NHW)
    depth_NHW[distances.typical_N == 0] = -distances.scene
    return replace(pixels, depth_NHW=depth_NHW, distances=distances)


def registered_depth(image: PosedImage, depth_camera: DepthCamera, camera: Intrinsics) -> np.ndarray:
    """Depth along the optical axis at the pixels of `camera`, (H, W) float16 in the units of the scene.

    If several points fall on a pixel the nearest is used. Pixels that no point falls on get the nearest measured
    pixel's depth, negated: good enough to move an image by, too poor to learn from. All 0 if nothing was measured.
    The distortion of the depth camera's own lens is taken out; `camera` has none. UserError where the file is no depth
    image, or one of another aspect ratio than its camera's.
    """
    assert image.depth_path is not None
    depth_HW, pinhole = measured_depth(image.depth_path, depth_camera)
    rows_N, columns_N = np.nonzero(depth_HW)
    z_N = depth_HW[rows_N, columns_N]
    x_N, y_N = (columns_N - pinhole.cx) / pinhole.fx, (rows_N - pinhole.cy) / pinhole.fy
    p_depth_N3 = np.stack((x_N * z_N, y_N * z_N, z_N), axis=1)
    T = depth_camera.T_camera_depth
    p_camera_N3 = p_depth_N3 @ T.rotation_33.T + T.position
    return _splatted(p_camera_N3[p_camera_N3[:, 2] > NEAREST], camera)


def measured_depth(path: Path, depth_camera: DepthCamera) -> tuple[np.ndarray, Intrinsics]:
    """A depth image (H, W) float64 in the units of the scene without the distortion of its own lens, 0 where there is
    no depth, and its pinhole. UserError where the file is no depth image, or as `rectified_depth`, with its name."""
    stored_HW = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if stored_HW is None or stored_HW.ndim != 2 or stored_HW.dtype != np.uint16:
        raise UserError(f"{path}: not a depth image (PNG, one 16-bit channel); copy it again or remove it")
    try:
        depth_HW, pinhole = rectified_depth(stored_HW, depth_camera.intrinsics)
    except UserError as error:
        raise UserError(f"{path}: {error}") from None
    return np.where(depth_HW < SATURATED, depth_HW, 0) * depth_camera.metres_per_unit, pinhole


def rectified_depth(depth_HW: np.ndarray, camera: Intrinsics) -> tuple[np.ndarray, Intrinsics]:
    """A depth image (H, W) uint16 without the distortion of its own lens, 0 beyond it, and its pinhole.

    An image with fewer pixels than `camera` says is every n-th of them: depth is never averaged. UserError for another
    aspect ratio, or distortion that is none.
    """
    undistorter = _undistorter(camera, *depth_HW.shape)
    return undistorter.depth(depth_HW), undistorter.rectified


@lru_cache(maxsize=4)
def _undistorter(camera: Intrinsics, height: int, width: int) -> Undistorter:
    camera.for_images(width, height)
    x, y = width / camera.width, height / camera.height
    fx, fy, cx, cy = camera.fx * x, camera.fy * y, camera.cx * x, camera.cy * y
    return Undistorter(replace(camera, width=width, height=height, fx=fx, fy=fy, cx=cx, cy=cy))


def _splatted(p_camera_N3: np.ndarray, camera: Intrinsics) -> np.ndarray:
    z_N = p_camera_N3[:, 2]
    columns_N = np.rint(camera.fx * p_camera_N3[:, 0] / z_N + camera.cx).astype(int)
    rows_N = np.rint(camera.fy * p_camera_N3[:, 1] / z_N + camera.cy).astype(int)
    inside = (columns_N >= 0) & (columns_N < camera.width) & (rows_N >= 0) & (rows_N < camera.height)
    inside &= (z_N > NEAREST) & (z_N < FARTHEST)
    depth_HW = np.full((camera.height, camera.width), np.inf)
    np.minimum.at(depth_HW, (rows_N[inside], columns_N[inside]), z_N[inside])
    known_HW = np.isfinite(depth_HW)
    if not known_HW.any():
        return np.zeros(depth_HW.shape, np.float16)
    filled_HW = depth_HW.ravel()[nearest_known(known_HW)]
    return np.where(known_HW, filled_HW, -filled_HW).astype(np.float16)

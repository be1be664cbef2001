"""Makes the keyframes of a scene: from its training frames alone, so that no held-out frame is ever compared with."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from transposenet_core.geometry.intrinsics import Intrinsics
from transposenet_core.geometry.pose import stack
from transposenet_core.geometry.undistortion import Undistorter
from transposenet_core.preprocessing import read_rectified
from transposenet_core.progress import ProgressBar
from transposenet_core.refinement.coverage import covering
from transposenet_core.refinement.levels import grey_of
from transposenet_core.scene import DepthCamera, PosedImage, Scene
from transposenet_core.scene_model import Keyframes, RefinementError
from transposenet_core.scene_model.keyframes import KeyframesFile
from transposenet_core.threads import in_threads
from transposenet_core.training.data.depth import registered_depth
from transposenet_core.training.data.pixels import NO_THREADS

PIXELS = 160 * 120  # of a keyframe, whatever its shape
MULTIPLE = 4  # of its sides: depth and tracking take half of them, twice
# On RedKitchen's validation frames 78 keyframes within 0.05 of all frames are as good as all 490 within 2 mm.
RADIUS = 0.05
SAMPLED = 20  # frames that the typical depth is measured on


@dataclass(frozen=True, eq=False)
class MadeKeyframes:
    """Keyframes and the training images (K) that they were made from."""

    keyframes: Keyframes
    images: list[PosedImage]


@dataclass(frozen=True, eq=False)
class SceneKeyframes:
    """What a scene model gets: the keyframes, and the error of poses refined against them, if that was measured."""

    file: KeyframesFile
    error: RefinementError | None


def make_keyframes(scene: Scene, most: int, threads: int, progress: bool = True) -> MadeKeyframes | None:
    """At most `most` keyframes that cover the training frames of a scene whose poses are the camera's; None where these
    have no depth, or the camera is not known. UserError where an image cannot be read."""
    images = [image for image in scene.images if image.split == "train" and image.depth_path is not None]
    camera, depth_camera = scene.intrinsics, scene.depth_camera
    if camera is None or depth_camera is None or not images or most < 1:
        return None
    undistorter = Undistorter(camera)
    small = keyframe_camera(undistorter.rectified)
    typical = _typical_depth(images[:: math.ceil(len(images) / SAMPLED)], depth_camera, small)
    if typical is None:
        return None
    chosen = [images[place] for place in covering(*stack([image.pose for image in images]), typical, most, RADIUS)]

    def read(image: PosedImage) -> tuple[np.ndarray, np.ndarray]:
        grey_HW = grey_of(read_rectified(image.path, undistorter), (small.width, small.height))
        return grey_HW, _depth(image, depth_camera, small)

    with in_threads(threads, NO_THREADS) as each:
        work = each(read, chosen)
        shown = ProgressBar(work, total=len(chosen), desc="keyframes", unit="img", leave=False, disable=not progress)
        grey, depth = zip(*shown, strict=True)
    positions_K3, orientations_K4 = stack([image.pose for image in chosen])
    return MadeKeyframes(Keyframes(np.stack(grey), np.stack(depth), positions_K3, orientations_K4, small), chosen)


def keyframe_camera(camera: Intrinsics) -> Intrinsics:
    """The pinhole of keyframes made of images of a pinhole `camera`: as many pixels for every shape of image."""
    scale = math.sqrt(PIXELS / (camera.width * camera.height))
    width, height = (MULTIPLE * max(4, round(side * scale / MULTIPLE)) for side in (camera.width, camera.height))
    return replace(camera.resized(width, height), source="keyframes")


def _depth(image: PosedImage, depth_camera: DepthCamera, camera: Intrinsics) -> np.ndarray:
    half = camera.resized(camera.width // 2, camera.height // 2)
    return np.maximum(registered_depth(image, depth_camera, half), 0).astype(np.float16)


def _typical_depth(images: list[PosedImage], depth_camera: DepthCamera, camera: Intrinsics) -> float | None:
    depth_M = np.concatenate([_depth(image, depth_camera, camera).ravel() for image in images])
    known_M = depth_M[depth_M > 0]
    return float(np.median(known_M.astype(np.float64))) if len(known_M) else None

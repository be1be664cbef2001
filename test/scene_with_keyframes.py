"""A small scene model with keyframes, made without training: its network says the same pose for every image."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import torch
from small_models import SIZE, small_model
from textured_planes import ARC, CAMERA, ROOM, camera_at, render
from untrained import one_scene

from transposenet_core.geometry.pose import Pose, stack
from transposenet_core.preprocessing import Preprocessing
from transposenet_core.scene_model import Keyframes, RefinementError, SceneModel
from transposenet_core.scene_model.keyframes import KeyframesFile

PREDICTED = camera_at((0.05, 0.02, 0.0), yaw_deg=-1.0)  # by the network, of everything
SEEN = [camera_at((0.0, 0.0, 0.05), yaw_deg=1.0), camera_at((0.2, 0.04, 0.0), yaw_deg=-3.0, pitch_deg=1.0)]
ERROR = RefinementError(1.5, 0.002, 0.001, "made-up frames")


def save_scene_with_keyframes(
    folder: Path, name: str = "planes", map_frame: str = "planes_map"
) -> list[tuple[np.ndarray, Pose]]:
    """Write the scene model. Returns images (H, W, 3) uint8 RGB of its place with their true poses; none is one of its
    keyframes."""
    keyframes = KeyframesFile.of(room_keyframes())
    network, options = small_model("transposenet")
    with torch.no_grad():
        for head, values in (("position_head", PREDICTED.position), ("orientation_head", PREDICTED.orientation)):
            last = [module for module in getattr(network, head).modules() if isinstance(module, torch.nn.Linear)][-1]
            last.weight.zero_()
            last.bias.copy_(torch.as_tensor(values))
    scenes = one_scene(name, map_frame, intrinsics=CAMERA, keyframes=keyframes, refinement=ERROR)
    SceneModel("transposenet", options, Preprocessing(SIZE[0], SIZE), network.eval(), scenes).save(folder)
    return [(render(ROOM, pose)[0], pose) for pose in SEEN]


def room_keyframes(poses: Sequence[Pose] = ARC) -> Keyframes:
    """Of the room of textured planes, with exact depth."""
    images, depths = [], []
    half = CAMERA.resized(CAMERA.width // 2, CAMERA.height // 2)
    for pose in poses:
        images.append(cv2.cvtColor(render(ROOM, pose)[0], cv2.COLOR_RGB2GRAY))
        depths.append(render(ROOM, pose, half)[1].astype(np.float16))
    return Keyframes(np.stack(images), np.stack(depths), *stack(poses), CAMERA)

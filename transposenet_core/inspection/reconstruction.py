"""The image that a scene model expects to see from a pose, where it has a decoder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import torch

from transposenet_core.atomic_files import write_atomically
from transposenet_core.errors import UserError
from transposenet_core.geometry.pose import Pose, rotation_angle_deg
from transposenet_core.scene_model import SceneModel

FORMATS = (".png", ".jpg", ".jpeg")


def has_decoder(scene_model: SceneModel) -> bool:
    """Whether the scene model can draw what it expects to see."""
    return scene_model.network.can_render


@torch.inference_mode()
def reconstruct(scene_model: SceneModel, pose: Pose, scene: str = "") -> np.ndarray:
    """The window (h, w, 3) uint8 RGB that the network would see from `pose`, a pose as the localizer returns it, in
    the map of `scene`, which may be empty for a model of one scene.

    It is drawn with 64 x 64 pixels and stretched to the window's size. UserError where the model has no decoder, or
    `scene` is not one of its scenes.
    """
    network = scene_model.network
    if not network.can_render:
        raise UserError(
            f"scene model '{scene_model.title}' ({scene_model.architecture}) draws no images; one of "
            "pose_autoencoder does, trained with decoder.epochs above 0"
        )
    number = scene_number(scene_model, scene)
    T_pose_camera = scene_model.scenes[number].T_pose_camera
    if T_pose_camera is not None:  # labels, and with them estimates, are another body's
        pose = pose @ T_pose_camera
    device = next(network.parameters()).device
    position_13, orientation_14 = (
        torch.from_numpy(part)[None].float().to(device) for part in (pose.position, pose.orientation)
    )
    scene_1 = torch.tensor([number], device=device)
    small_HW3 = network.render(position_13, orientation_14, scene_1)[0].permute(1, 2, 0).cpu().numpy()
    height, width = scene_model.preprocessing.image_size
    drawn_HW3 = cv2.resize(small_HW3, (width, height), interpolation=cv2.INTER_LINEAR)
    return np.round(255 * drawn_HW3).clip(0, 255).astype(np.uint8)


def nearest_training_pose(scene_model: SceneModel, pose: Pose, scene: str = "") -> tuple[float, float]:
    """How far `pose` is from the training pose of its scene whose position is nearest: metres and degrees."""
    its = scene_model.scenes[scene_number(scene_model, scene)]
    away_N = np.linalg.norm(its.training_positions_N3 - pose.position, axis=1)
    nearest = int(away_N.argmin())
    degrees = rotation_angle_deg(its.training_orientations_N4[nearest], pose.orientation)
    return float(away_N[nearest]), float(degrees)


def scene_number(scene_model: SceneModel, scene: str) -> int:
    """The index of a scene in its model. UserError where the model does not have it; '' is the only one."""
    names = [its.name for its in scene_model.scenes]
    if not scene and len(names) == 1:
        return 0
    if scene not in names:
        found = f"scene '{scene}' is none of its scenes" if scene else "no scene is given"
        known = ", ".join(names)
        raise UserError(f"scene model '{scene_model.title}': {found}; give the name of one (--scene): {known}")
    return names.index(scene)


def pose_of_numbers(numbers: Sequence[float]) -> Pose:
    """x y z qw qx qy qz as a pose. UserError where they are not a pose."""
    try:
        return Pose(np.array(numbers[:3]), np.array(numbers[3:]))
    except ValueError:
        shown = " ".join(f"{number:g}" for number in numbers)
        raise UserError(
            f"--pose {shown}: not a pose; three metres and a quaternion w x y z that is not 0 are needed, all finite"
        ) from None


def write_image(path: str | Path, image_HW3: np.ndarray) -> None:
    """Write an (H, W, 3) uint8 RGB image as PNG or JPEG, whole or not at all. UserError for another suffix."""
    path = Path(path)
    if path.suffix.lower() not in FORMATS:
        raise UserError(f"{path}: suffix '{path.suffix}', allowed are {', '.join(FORMATS)}")
    _, data = cv2.imencode(path.suffix.lower(), cv2.cvtColor(image_HW3, cv2.COLOR_RGB2BGR))
    with write_atomically(path) as temporary:
        temporary.write_bytes(data.tobytes())

"""Virtual rotation: the view of a camera rotated about its own centre, made from the image that it took.

The view is an exact homography of an undistorted image. With D the rotated axes in the old camera's frame,
``R_map_camera' = R_map_camera D``, the position stays, and ``K D K^-1`` maps a pixel of the new view to the old one.
The camera is the one that took the image: labels of another body (``T_pose_camera``) have been converted to it before
(`Scene.of_the_camera`).
"""

from __future__ import annotations

import dataclasses
import sys

import torch
import torch.nn.functional as F

from transposenet_core.errors import UserError
from transposenet_core.geometry.intrinsics import Intrinsics
from transposenet_core.geometry.lens_models import bears_distortion, known_lenses
from transposenet_core.geometry.quaternions import product
from transposenet_core.scene import Scene
from transposenet_core.training.config import TrainConfig, VirtualRotationConfig

ROOM = 256 / 224  # ratio of the smaller edge to the window's, for a random crop (TransPoseNet section 4)
NEAREST = 1e-3  # a ray of length ~1 with less depth points beside or behind the old camera and has no pixel


def for_camera(config: TrainConfig, scene: Scene) -> TrainConfig:
    """The configuration for the scene's camera: without intrinsics virtual views are replaced by the papers' random
    crop, with a window of at most 224 / 256 of the smaller edge, and a warning is printed. UserError if the images
    cannot be those of a pinhole camera."""
    if not config.augmentation.moves():
        return config
    camera = scene.intrinsics
    if camera is None:
        image = config.image
        edge = max(image.smaller_edge, round(min(image.height, image.width) * ROOM))
        print(
            f"warning: scene {scene.name} ({scene.root}) has no intrinsics, which augmentation.virtual_rotation needs: "
            f"random crops of {image.height}x{image.width} out of a smaller edge of {edge} instead; give the scene "
            "its camera matrix",
            file=sys.stderr,
        )
        crops = dataclasses.replace(
            config.augmentation,
            random_crop=True,
            virtual_rotation=VirtualRotationConfig(),
            virtual_translation=0.0,
            relative_translation=0.0,
            view_completion=0.0,
        )
        return dataclasses.replace(config, augmentation=crops, image=dataclasses.replace(image, smaller_edge=edge))
    if not bears_distortion(camera) and camera.rectified is False:
        raise UserError(
            f"scene {scene.name} ({scene.root}): the images have an unknown distortion, but "
            f"augmentation.virtual_rotation needs images without; give the coefficients of {known_lenses()}, or set "
            "augmentation.virtual_rotation to 0"
        )
    return config


def sampled_rotation(random_B3: torch.Tensor, config: VirtualRotationConfig) -> torch.Tensor:
    """D (B, 4) as unit quaternions w x y z from uniform random numbers: yaw about y, then pitch about x, then roll
    about z, each about the axis as rotated so far (optical axes: y down, x right, z forward). 0.5 is no rotation,
    to the bit."""
    limits = [torch.pi / 180 * limit for limit in (config.yaw, config.pitch, config.roll)]
    halves = [(random_B3[:, axis] - 0.5) * limit for axis, limit in enumerate(limits)]  # half of +-limit
    (cy, sy), (cp, sp), (cr, sr) = ((half.cos(), half.sin()) for half in halves)
    w, x, y, z = cy * cp, cy * sp, sy * cp, -sy * sp
    return torch.stack((w * cr - z * sr, x * cr + y * sr, y * cr - x * sr, z * cr + w * sr), dim=-1)


def rotated_orientation(orientation_B4: torch.Tensor, rotation_B4: torch.Tensor) -> torch.Tensor:
    """``R_map_camera D`` as quaternions w x y z with w >= 0, as `Pose` holds them and Eq. 4 needs them."""
    product_B4 = product(orientation_B4, rotation_B4)
    return torch.where(product_B4[:, :1] < 0, -product_B4, product_B4)


def rotated_view(
    image_BCHW: torch.Tensor, rotation_B4: torch.Tensor, camera: Intrinsics, size: tuple[int, int]
) -> torch.Tensor:
    """The centre window `size` (B, C, *size) of the view of the rotated camera; 0 beyond the border of the old image.

    `camera` is that of the whole images, which are float with 0 as the fill value. Bilinear: the scale stays near 1.
    Without a rotation the window is unchanged, to the bit.
    """
    height, width = image_BCHW.shape[-2:]
    x_BHW, y_BHW = _old_pixels(rotation_B4, camera, ((height - size[0]) // 2, (width - size[1]) // 2), size)
    # With sides of a power of two the conversion to grid_sample's -1..1 and back is exact; the rest is padding.
    tall, wide = (1 << (side - 1).bit_length() for side in (height, width))
    padded = F.pad(image_BCHW, (0, wide - width, 0, tall - height))
    grid_BHW2 = torch.stack(((2 * x_BHW + 1) / wide - 1, (2 * y_BHW + 1) / tall - 1), dim=-1)
    return F.grid_sample(padded, grid_BHW2, mode="bilinear", padding_mode="zeros", align_corners=False)


def _old_pixels(
    rotation_B4: torch.Tensor, camera: Intrinsics, corner: tuple[int, int], size: tuple[int, int]
) -> tuple[torch.Tensor, torch.Tensor]:
    """x and y (B, *size) in the old image of the new view's window whose first pixel is `corner` (top, left).

    As the pixel plus its offset, so that small rotations keep full precision: with the ray r = K^-1 p and
    d = (D - I) r, the offset is (d_xy - r_xy d_z) / (1 + d_z) times the focal length.
    """
    device = rotation_B4.device
    y_H1 = torch.arange(corner[0], corner[0] + size[0], device=device, dtype=torch.float32)[:, None]
    x_W = torch.arange(corner[1], corner[1] + size[1], device=device, dtype=torch.float32)
    ray_x, ray_y = (x_W - camera.cx) / camera.fx, (y_H1 - camera.cy) / camera.fy
    w, x, y, z = rotation_B4[..., None, None].unbind(1)
    d_x = -2 * (y * y + z * z) * ray_x + 2 * (x * y - w * z) * ray_y + 2 * (x * z + w * y)
    d_y = 2 * (x * y + w * z) * ray_x - 2 * (x * x + z * z) * ray_y + 2 * (y * z - w * x)
    d_z = 2 * (x * z - w * y) * ray_x + 2 * (y * z + w * x) * ray_y - 2 * (x * x + y * y)
    depth = (1 + d_z).clamp(min=NEAREST)
    return x_W + camera.fx * (d_x - ray_x * d_z) / depth, y_H1 + camera.fy * (d_y - ray_y * d_z) / depth

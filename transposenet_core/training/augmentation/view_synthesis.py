"""Depth-based view synthesis: the view of a moved camera, from an image and its depth.

The depth is projected into the new camera point by point (the nearest is kept), then the image is sampled for each new
pixel. What the old image did not see stays the fill colour: what lies beyond its border, and what was hidden.

A camera that moves back sees past the border and past the edges of near objects; one that moves forward does not. A
network would learn that an image without empty parts was taken from farther ahead, and take every image of a robot for
one. So a training view keeps only what would also be `shown` if the camera had moved as far `the_other_way` along its
axis: the missing parts depend on how far it moved, not on the direction.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
import torch.nn.functional as F

from transposenet_core.geometry.intrinsics import Intrinsics
from transposenet_core.geometry.quaternions import matrices

NEAREST = 0.03  # share of an image's typical depth (5 cm in a room) in front of which a camera sees nothing
TINY, NOTHING = 1e-5, 1e6  # beyond the depths that are stored, on both sides
HOLES = 3  # number of times that points grow by a pixel into empty ones
HIDDEN, SAME = 0.15, 0.08  # shares of the depth: farther behind the old surface is hidden, closer is the same point


class MovedViews(NamedTuple):
    """Views of moved cameras: images (B, C, H, W), their depth (B, H, W), 0 where it is a guess or where
    nothing is shown, and a mask (B, H, W) of where they show something."""

    image_BCHW: torch.Tensor
    depth_BHW: torch.Tensor
    shown_BHW: torch.Tensor

    def within(self, mask_BHW: torch.Tensor) -> MovedViews:
        """The views inside the mask, empty elsewhere."""
        shown_BHW = self.shown_BHW & mask_BHW
        return MovedViews(self.image_BCHW * shown_BHW[:, None], self.depth_BHW * shown_BHW, shown_BHW)


def moved_views(
    image_BCHW: torch.Tensor,
    depth_BHW: torch.Tensor,
    rotation_B4: torch.Tensor,
    translation_B3: torch.Tensor,
    camera: Intrinsics,
    size: tuple[int, int],
) -> MovedViews:
    """The centre window `size` of the view of the moved camera.

    ``p_old = D p_new + translation`` with the rotation D as quaternions w x y z and the translation in the scene's
    units, in the axes of the old camera. In `image_BCHW` 0 is the fill value; `depth_BHW` is as from
    `registered_depth` (the same units, guesses below 0).
    """
    seen = _seen(depth_BHW, rotation_B4, translation_B3, camera, size)
    image = F.grid_sample(image_BCHW, seen.grid_BHW2, mode="bilinear", padding_mode="zeros", align_corners=False)
    return MovedViews(image, seen.depth_BHW, seen.shown_BHW).within(seen.shown_BHW)


def shown(
    depth_BHW: torch.Tensor,
    rotation_B4: torch.Tensor,
    translation_B3: torch.Tensor,
    camera: Intrinsics,
    size: tuple[int, int],
) -> torch.Tensor:
    """Where (B, *size) `moved_views` shows something."""
    return _seen(depth_BHW, rotation_B4, translation_B3, camera, size).shown_BHW


def the_other_way(translation_B3: torch.Tensor) -> torch.Tensor:
    """The translation with its component along the optical axis negated."""
    return torch.cat((translation_B3[:, :2], -translation_B3[:, 2:]), dim=1)


class _Seen(NamedTuple):
    """The `grid_sample` position of each new pixel in the old image, its depth where known, and whether it was seen."""

    grid_BHW2: torch.Tensor
    depth_BHW: torch.Tensor
    shown_BHW: torch.Tensor


def _seen(
    depth_BHW: torch.Tensor,
    rotation_B4: torch.Tensor,
    translation_B3: torch.Tensor,
    camera: Intrinsics,
    size: tuple[int, int],
) -> _Seen:
    height, width = depth_BHW.shape[-2:]
    rotation_B33 = matrices(rotation_B4).double()
    corner = ((height - size[0]) // 2, (width - size[1]) // 2)
    old_depth_B1HW = depth_BHW[:, None].float()
    nearest_B1 = NEAREST / (1 / old_depth_B1HW.abs().clamp(min=TINY)).mean(dim=(2, 3))
    translation_B31 = translation_B3[..., None]
    rotated_translation_B31 = (rotation_B33.mT @ translation_B31.double()).float()
    old_rays_B3N = _rotated_rays(rotation_B33.mT, (0, 0), (height, width), camera)
    p_new_B3N = old_rays_B3N.mul_(old_depth_B1HW.abs().flatten(2)).sub_(rotated_translation_B31)
    new_depth_BHW = _splatted(p_new_B3N, corner, camera, size, nearest_B1)
    new_rays_B3N = _rotated_rays(rotation_B33, corner, size, camera)
    p_old_B3N = new_rays_B3N.mul_(new_depth_BHW.flatten(1)[:, None]).add_(translation_B31)
    x_BHW, y_BHW, z_BHW = (plane.unflatten(1, size) for plane in _projected(p_old_B3N, camera, nearest_B1))
    grid_BHW2 = torch.stack(((2 * x_BHW + 1) / width - 1, (2 * y_BHW + 1) / height - 1), dim=-1)
    old_z_B1HW = F.grid_sample(old_depth_B1HW, grid_BHW2, mode="nearest", padding_mode="zeros", align_corners=False)
    old_z_BHW = old_z_B1HW[:, 0]
    behind_BHW = z_BHW - old_z_BHW.abs()
    inside_BHW = (x_BHW >= -0.5) & (x_BHW <= width - 0.5) & (y_BHW >= -0.5) & (y_BHW <= height - 0.5)
    shown_BHW = inside_BHW & (behind_BHW <= HIDDEN * z_BHW) & (new_depth_BHW < NOTHING)
    same_BHW = (old_z_BHW > 0) & (behind_BHW.abs() < SAME * z_BHW)
    return _Seen(grid_BHW2, new_depth_BHW * same_BHW, shown_BHW)


def _rotated_rays(
    rotation_B33: torch.Tensor, corner: tuple[int, int], size: tuple[int, int], camera: Intrinsics
) -> torch.Tensor:
    """Rays (B, 3, N) float32 of a window's pixels, row by row, rotated; before that they have z = 1.

    As the sum of what a column and what a row adds: a product of matrices takes ten times as long on a CPU, and a GPU
    multiplies float32 matrices in TF32, to three digits.
    """
    kind: Any = {"device": rotation_B33.device, "dtype": torch.float64}
    y_H = (torch.arange(corner[0], corner[0] + size[0], **kind) - camera.cy) / camera.fy
    x_W = (torch.arange(corner[1], corner[1] + size[1], **kind) - camera.cx) / camera.fx
    across_B3W = (rotation_B33[:, :, 0, None] * x_W).float()
    down_B3H = (rotation_B33[:, :, 1, None] * y_H + rotation_B33[:, :, 2, None]).float()
    return (down_B3H[..., None] + across_B3W[:, :, None]).flatten(2)


def _projected(
    p_B3N: torch.Tensor, camera: Intrinsics, nearest_B1: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Column, row and depth (B, N) of points; points beside or behind the camera are treated as close in front."""
    z_BN = p_B3N[:, 2].maximum(nearest_B1)
    return camera.fx * p_B3N[:, 0] / z_BN + camera.cx, camera.fy * p_B3N[:, 1] / z_BN + camera.cy, z_BN


def _splatted(
    p_B3N: torch.Tensor, corner: tuple[int, int], camera: Intrinsics, size: tuple[int, int], nearest_B1: torch.Tensor
) -> torch.Tensor:
    """The smallest depth (B, *size) of the points on each pixel of the window whose first pixel is `corner` (top,
    left), NOTHING without points. Small gaps between points are closed.
    """
    (height, width), z_BN = size, p_B3N[:, 2]
    x_BN, y_BN, _ = _projected(p_B3N, camera, nearest_B1)
    column_BN, row_BN = (x_BN - corner[1]).round().long(), (y_BN - corner[0]).round().long()
    inside_BN = (column_BN >= 0) & (column_BN < width) & (row_BN >= 0) & (row_BN < height) & (z_BN > nearest_B1)
    place_BN = torch.where(inside_BN, row_BN * width + column_BN, height * width)
    depths = torch.full((len(p_B3N), height * width + 1), NOTHING, device=p_B3N.device)
    depths = depths.scatter_reduce(1, place_BN, torch.where(inside_BN, z_BN, NOTHING), "amin")
    depth_BHW = depths[:, :-1].unflatten(1, size)
    for _ in range(HOLES):
        depth_BHW = torch.where(depth_BHW < NOTHING, depth_BHW, _nearest_neighbour(depth_BHW))
    return depth_BHW


def _nearest_neighbour(depth_BHW: torch.Tensor) -> torch.Tensor:
    """The minimum of each pixel and its eight neighbours: rows, then columns, faster than pooling on a CPU."""
    for axis in (1, 2):
        padded = F.pad(depth_BHW, (0, 0, 1, 1) if axis == 1 else (1, 1), value=NOTHING)
        before, here, after = (padded.narrow(axis, start, depth_BHW.shape[axis]) for start in (0, 1, 2))
        depth_BHW = torch.minimum(torch.minimum(before, here), after)
    return depth_BHW

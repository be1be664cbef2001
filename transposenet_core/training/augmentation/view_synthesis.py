"""Virtual views of a camera that moved: what it would have seen, from an image and its depth.

The depth goes to the new camera point by point (nearest first), then the image is fetched back for each new pixel.
What the old image did not see stays the fill colour: what lies beyond its border, and what was hidden.

Who moves back sees past the border and past the edges of what is near, who comes nearer does not: a network would learn
that an image without empty places was taken from farther ahead, and take every image of a robot for such. So a
training view keeps only what is `shown` as well had the camera gone as far `the_other_way` along its axis: what is
missing says how far it went, not which way.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F

from transposenet_core.geometry.intrinsics import Intrinsics
from transposenet_core.geometry.quaternions import matrices

NEAREST_M, NOTHING_M = 0.05, 1e3
HOLES = 3  # times that points grow by a pixel into what none fell on
HIDDEN, SAME = 0.15, 0.08  # of the depth: farther behind the old surface is hidden, nearer to it is the same point


class MovedViews(NamedTuple):
    """What moved cameras see: images (B, C, H, W), their depth (B, H, W) in metres, 0 where it is a guess or where
    nothing is shown, and where (B, H, W) they show something."""

    image_BCHW: torch.Tensor
    depth_BHW: torch.Tensor
    shown_BHW: torch.Tensor

    def within(self, mask_BHW: torch.Tensor) -> MovedViews:
        """What of them lies in the mask, nothing elsewhere."""
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
    """The centre window `size` of what the moved camera sees.

    ``p_old = D p_new + shift`` with the turn D as quaternions w x y z and the shift in metres, in the old camera's
    axes. `image_BCHW` has 0 for the value to fill with; `depth_BHW` is as `registered_depth` makes it (millimetres,
    guesses below 0).
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
    """As far back as it was ahead; sideways the same."""
    return torch.cat((translation_B3[:, :2], -translation_B3[:, 2:]), dim=1)


class _Seen(NamedTuple):
    """Where `grid_sample` finds each new pixel in the old image, its depth where it is known, whether it was seen."""

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
    rotation_B33 = matrices(rotation_B4).double()  # a GPU multiplies float32 matrices in TF32, to three digits
    corner = ((height - size[0]) // 2, (width - size[1]) // 2)
    old_rays_3N, new_rays_3N = (
        _rays(start, shape, camera, depth_BHW.device) for start, shape in (((0, 0), (height, width)), (corner, size))
    )
    old_depth_B1HW = depth_BHW[:, None].float() / 1000
    translation_B31 = translation_B3[..., None]
    rotated_translation_B31 = (rotation_B33.mT @ translation_B31.double()).float()
    p_new_B3N = (rotation_B33.mT @ old_rays_3N).float() * old_depth_B1HW.abs().flatten(2) - rotated_translation_B31
    new_depth_BHW = _splatted(p_new_B3N, corner, camera, size)
    p_old_B3N = (rotation_B33 @ new_rays_3N).float() * new_depth_BHW.flatten(1)[:, None] + translation_B31
    x_BHW, y_BHW, z_BHW = (plane.unflatten(1, size) for plane in _projected(p_old_B3N, camera))
    grid_BHW2 = torch.stack(((2 * x_BHW + 1) / width - 1, (2 * y_BHW + 1) / height - 1), dim=-1)
    old_z_B1HW = F.grid_sample(old_depth_B1HW, grid_BHW2, mode="nearest", padding_mode="zeros", align_corners=False)
    old_z_BHW = old_z_B1HW[:, 0]
    behind_BHW = z_BHW - old_z_BHW.abs()
    inside_BHW = (x_BHW >= -0.5) & (x_BHW <= width - 0.5) & (y_BHW >= -0.5) & (y_BHW <= height - 0.5)
    shown_BHW = inside_BHW & (behind_BHW <= HIDDEN * z_BHW) & (new_depth_BHW < NOTHING_M)
    same_BHW = (old_z_BHW > 0) & (behind_BHW.abs() < SAME * z_BHW)
    return _Seen(grid_BHW2, new_depth_BHW * same_BHW, shown_BHW)


def _rays(corner: tuple[int, int], size: tuple[int, int], camera: Intrinsics, device: torch.device) -> torch.Tensor:
    """Of a window's pixels (3, N) float64, row by row, with z = 1."""
    y_H = (torch.arange(corner[0], corner[0] + size[0], device=device, dtype=torch.float64) - camera.cy) / camera.fy
    x_W = (torch.arange(corner[1], corner[1] + size[1], device=device, dtype=torch.float64) - camera.cx) / camera.fx
    x_N, y_N = x_W.repeat(size[0]), y_H.repeat_interleave(size[1])
    return torch.stack((x_N, y_N, torch.ones_like(x_N)))


def _projected(p_B3N: torch.Tensor, camera: Intrinsics) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Column, row and depth (B, N) of points; what is beside or behind the camera counts as right before it."""
    z_BN = p_B3N[:, 2].clamp(min=NEAREST_M)
    return camera.fx * p_B3N[:, 0] / z_BN + camera.cx, camera.fy * p_B3N[:, 1] / z_BN + camera.cy, z_BN


def _splatted(p_B3N: torch.Tensor, corner: tuple[int, int], camera: Intrinsics, size: tuple[int, int]) -> torch.Tensor:
    """The nearest depth (B, *size) that falls on each pixel of the window whose first pixel is `corner` (top, left),
    NOTHING_M where none does. Small gaps between points close.
    """
    (height, width), z_BN = size, p_B3N[:, 2]
    x_BN, y_BN, _ = _projected(p_B3N, camera)
    column_BN, row_BN = (x_BN - corner[1]).round().long(), (y_BN - corner[0]).round().long()
    inside_BN = (column_BN >= 0) & (column_BN < width) & (row_BN >= 0) & (row_BN < height) & (z_BN > NEAREST_M)
    place_BN = torch.where(inside_BN, row_BN * width + column_BN, height * width)
    depths = torch.full((len(p_B3N), height * width + 1), NOTHING_M, device=p_B3N.device)
    depths = depths.scatter_reduce(1, place_BN, torch.where(inside_BN, z_BN, NOTHING_M), "amin")
    depth_BHW = depths[:, :-1].unflatten(1, size)
    for _ in range(HOLES):
        depth_BHW = torch.where(depth_BHW < NOTHING_M, depth_BHW, _nearest_neighbour(depth_BHW))
    return depth_BHW


def _nearest_neighbour(depth_BHW: torch.Tensor) -> torch.Tensor:
    """The least of each pixel and its eight neighbours: rows, then columns, which a CPU does quicker than pooling."""
    for axis in (1, 2):
        padded = F.pad(depth_BHW, (0, 0, 1, 1) if axis == 1 else (1, 1), value=NOTHING_M)
        before, here, after = (padded.narrow(axis, start, depth_BHW.shape[axis]) for start in (0, 1, 2))
        depth_BHW = torch.minimum(torch.minimum(before, here), after)
    return depth_BHW

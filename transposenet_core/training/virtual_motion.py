"""Virtual views of a camera that moved: what it would have seen, from a picture and its depth.

The depth goes to the new camera point by point (nearest first), then the picture is fetched back for each new pixel.
What the old picture did not see stays the fill colour: what lies beyond its border, and what was hidden.

Who moves back sees past the border and past the edges of what is near, who comes nearer does not: a network would learn
that a picture without empty places was taken from farther ahead, and take every picture of a robot for such. So a view
shows only what it would also show had the camera gone as far the other way along its axis: what is missing says how far
it went, not which way.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F

from transposenet_core.models.pose_from_points import inverse, rotated
from transposenet_core.scene import Intrinsics

NEAREST_M, NOTHING_M = 0.05, 1e3
HOLES = 3  # times that points grow by a pixel into what none fell on
HIDDEN, SAME = 0.15, 0.08  # of the depth: farther behind the old surface is hidden, nearer to it is the same point


class MovedViews(NamedTuple):
    """What moved cameras see: pictures (B, C, H, W), their depth (B, H, W) in metres, 0 where it is a guess or where
    nothing is shown, and where (B, H, W) they show something."""

    image_BCHW: torch.Tensor
    depth_BHW: torch.Tensor
    shown_BHW: torch.Tensor


def moved_views(
    image_BCHW: torch.Tensor,
    depth_BHW: torch.Tensor,
    turn_B4: torch.Tensor,
    shift_B3: torch.Tensor,
    camera: Intrinsics,
    size: tuple[int, int],
    both_ways: bool = True,
) -> MovedViews:
    """The centre window `size` of what the moved camera sees.

    ``p_old = D p_new + shift`` with the turn D as quaternions w x y z and the shift in metres, in the old camera's
    axes. `image_BCHW` has 0 for the value to fill with; `depth_BHW` is as `registered_depth` makes it (millimetres,
    guesses below 0). `both_ways`: only what it would also see from as far the other way along its axis.
    """
    seen = _seen(depth_BHW, turn_B4, shift_B3, camera, size)
    shown_BHW = seen.shown_BHW
    if both_ways:
        shown_BHW = shown_BHW & _seen(depth_BHW, turn_B4, _the_other_way(shift_B3), camera, size).shown_BHW
    image = F.grid_sample(image_BCHW, seen.grid_BHW2, mode="bilinear", padding_mode="zeros", align_corners=False)
    return MovedViews(image * shown_BHW[:, None], seen.depth_BHW * shown_BHW, shown_BHW)


class _Seen(NamedTuple):
    """Where `grid_sample` finds each new pixel in the old picture, its depth where it is known, whether it was seen."""

    grid_BHW2: torch.Tensor
    depth_BHW: torch.Tensor
    shown_BHW: torch.Tensor


def _seen(
    depth_BHW: torch.Tensor, turn_B4: torch.Tensor, shift_B3: torch.Tensor, camera: Intrinsics, size: tuple[int, int]
) -> _Seen:
    device, (height, width) = depth_BHW.device, depth_BHW.shape[-2:]
    old_pixels_N2 = _pixels((0, 0), (height, width), device)
    new_pixels_N2 = _pixels(((height - size[0]) // 2, (width - size[1]) // 2), size, device)
    old_depth_B1HW = depth_BHW[:, None].float() / 1000
    p_old_BN3 = _lifted(old_pixels_N2, old_depth_B1HW.abs().flatten(1), camera)
    p_new_BN3 = rotated(inverse(turn_B4), p_old_BN3 - shift_B3[:, None])
    new_depth_BHW, empty_BHW = _splatted(p_new_BN3, new_pixels_N2[0], camera, size)
    x_BN, y_BN, z_BN = _fetched_from(new_pixels_N2, new_depth_BHW.flatten(1), turn_B4, shift_B3, camera)
    grid_BHW2 = torch.stack(((2 * x_BN + 1) / width - 1, (2 * y_BN + 1) / height - 1), dim=-1).unflatten(1, size)
    old_z_B1HW = F.grid_sample(old_depth_B1HW, grid_BHW2, mode="nearest", padding_mode="zeros", align_corners=False)
    old_z_BHW, z_BHW = old_z_B1HW[:, 0], z_BN.unflatten(1, size)
    behind_BHW = z_BHW - old_z_BHW.abs()
    hidden_BHW = behind_BHW > HIDDEN * z_BHW
    same_BHW = (old_z_BHW > 0) & (behind_BHW.abs() < SAME * z_BHW)
    inside_BHW = _inside(x_BN, y_BN, height, width).unflatten(1, size)
    return _Seen(grid_BHW2, new_depth_BHW * same_BHW, inside_BHW & ~hidden_BHW & ~empty_BHW)


def _pixels(corner: tuple[int, int], size: tuple[int, int], device: torch.device) -> torch.Tensor:
    """x and y (N, 2) of a window's pixels, row by row."""
    y = torch.arange(corner[0], corner[0] + size[0], device=device, dtype=torch.float32)
    x = torch.arange(corner[1], corner[1] + size[1], device=device, dtype=torch.float32)
    return torch.stack(torch.meshgrid(x, y, indexing="xy"), dim=-1).flatten(0, 1)


def _lifted(pixels_N2: torch.Tensor, depth_BN: torch.Tensor, camera: Intrinsics) -> torch.Tensor:
    """Points (B, N, 3) of pixels at their depths."""
    x_N, y_N = (pixels_N2[:, 0] - camera.cx) / camera.fx, (pixels_N2[:, 1] - camera.cy) / camera.fy
    return torch.stack((x_N * depth_BN, y_N * depth_BN, depth_BN), dim=-1)


def _fetched_from(
    pixels_N2: torch.Tensor, depth_BN: torch.Tensor, turn_B4: torch.Tensor, shift_B3: torch.Tensor, camera: Intrinsics
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Column, row and depth (B, N) in the old picture of the new one's pixels at their depths."""
    back_BN3 = rotated(turn_B4, _lifted(pixels_N2, depth_BN, camera)) + shift_B3[:, None]
    z_BN = back_BN3[..., 2].clamp(min=NEAREST_M)
    return camera.fx * back_BN3[..., 0] / z_BN + camera.cx, camera.fy * back_BN3[..., 1] / z_BN + camera.cy, z_BN


def _inside(x_BN: torch.Tensor, y_BN: torch.Tensor, height: int, width: int) -> torch.Tensor:
    return (x_BN >= -0.5) & (x_BN <= width - 0.5) & (y_BN >= -0.5) & (y_BN <= height - 0.5)


def _the_other_way(shift_B3: torch.Tensor) -> torch.Tensor:
    """As far back as it was ahead; sideways the same."""
    return torch.cat((shift_B3[:, :2], -shift_B3[:, 2:]), dim=1)


def _splatted(
    p_BN3: torch.Tensor, corner_2: torch.Tensor, camera: Intrinsics, size: tuple[int, int]
) -> tuple[torch.Tensor, torch.Tensor]:
    """The nearest depth (B, *size) that falls on each pixel of the window whose first pixel is `corner` (x, y), and
    where none does.

    Small gaps between points close.
    """
    z_BN = p_BN3[..., 2]
    front_BN = z_BN.clamp(min=NEAREST_M)
    column_BN = (camera.fx * p_BN3[..., 0] / front_BN + camera.cx - corner_2[0]).round().long()
    row_BN = (camera.fy * p_BN3[..., 1] / front_BN + camera.cy - corner_2[1]).round().long()
    height, width = size
    inside_BN = (column_BN >= 0) & (column_BN < width) & (row_BN >= 0) & (row_BN < height) & (z_BN > NEAREST_M)
    place_BN = torch.where(inside_BN, row_BN * width + column_BN, height * width)
    depths = torch.full((len(p_BN3), height * width + 1), NOTHING_M, device=p_BN3.device)
    depths = depths.scatter_reduce(1, place_BN, torch.where(inside_BN, z_BN, NOTHING_M), "amin")
    depth_BHW = depths[:, :-1].unflatten(1, size)
    for _ in range(HOLES):
        grown_BHW = -F.max_pool2d(-depth_BHW[:, None], 3, stride=1, padding=1)[:, 0]
        depth_BHW = torch.where(depth_BHW < NOTHING_M, depth_BHW, grown_BHW)
    return depth_BHW, depth_BHW >= NOTHING_M

"""Where the cells of an activation map lie in the image, and along which rays the camera sees them."""

from __future__ import annotations

import torch

from transposenet_core.models.backbone import map_size


def cell_centres(image_size: tuple[int, int], level: int, stride: int = 1) -> torch.Tensor:
    """Centres (N, 2) of a level's cells in an image of (height, width), x and y in pixels, row by row.

    With a stride, those of tokens of stride x stride cells each, the last of which may extend beyond the border.
    """
    sides = []
    for pixels, cells in zip(image_size, map_size(image_size, level), strict=True):
        tokens = -(-cells // stride)
        sides.append((torch.arange(tokens, device="cpu") + 0.5) * (stride * pixels / cells) - 0.5)
    return torch.stack(torch.meshgrid(sides[1], sides[0], indexing="xy"), dim=-1).flatten(0, 1)


def rays(cells_N2: torch.Tensor, camera: tuple[float, float, float, float]) -> torch.Tensor:
    """Directions (N, 3) of pixels in the optical frame of a camera (fx, fy, cx, cy), with z = 1."""
    fx, fy, cx, cy = (float(value) for value in camera)
    x_N, y_N = cells_N2.unbind(-1)
    return torch.stack(((x_N - cx) / fx, (y_N - cy) / fy, torch.ones_like(x_N)), dim=-1)

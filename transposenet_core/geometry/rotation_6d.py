"""A rotation from six free numbers: Zhou et al., "On the continuity of rotation representations", 2019, section 4.

Quaternions of a hemisphere have a seam, where a rotation across 180 degrees jumps to the other end; a matrix's first
two columns have none. Everything is batched and free of branches on values.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F

from transposenet_core.geometry.quaternions import rotated


def orientation_from_columns(columns_B6: torch.Tensor) -> torch.Tensor:
    """Quaternions (B, 4) w x y z with w >= 0 of the rotation that Gram-Schmidt makes from its first two columns."""
    first_B3, second_B3 = columns_B6.split(3, dim=-1)
    first_B3 = F.normalize(first_B3, dim=-1)
    second_B3 = F.normalize(second_B3 - (first_B3 * second_B3).sum(-1, keepdim=True) * first_B3, dim=-1)
    return _quaternion(torch.stack((first_B3, second_B3, torch.linalg.cross(first_B3, second_B3)), dim=-1))


def columns_of(orientation_B4: torch.Tensor) -> torch.Tensor:
    """The first two columns (B, 6) of rotations, the inverse of `orientation_from_columns`."""
    axes_23 = torch.eye(3, dtype=orientation_B4.dtype, device=orientation_B4.device)[:2]
    return rotated(orientation_B4, axes_23.expand(len(orientation_B4), 2, 3)).flatten(1)


def _quaternion(R_B33: torch.Tensor) -> torch.Tensor:
    """Of rotation matrices: the row of 4 q q^T with the largest diagonal, so as never to divide by a small number."""
    (xx, xy, xz), (yx, yy, yz), (zx, zy, zz) = (R_B33[:, row].unbind(-1) for row in range(3))
    rows = (
        (1 + xx + yy + zz, zy - yz, xz - zx, yx - xy),
        (zy - yz, 1 + xx - yy - zz, yx + xy, xz + zx),
        (xz - zx, yx + xy, 1 - xx + yy - zz, zy + yz),
        (yx - xy, xz + zx, zy + yz, 1 - xx - yy + zz),
    )
    outer_B44 = torch.stack([torch.stack(row, dim=-1) for row in rows], dim=-2)
    largest_B = outer_B44.diagonal(dim1=1, dim2=2).argmax(dim=-1)
    row_B4 = outer_B44.gather(1, largest_B[:, None, None].expand(-1, 1, 4))[:, 0]
    orientation_B4 = F.normalize(row_B4, dim=-1)
    return torch.where(orientation_B4[:, :1] < 0, -orientation_B4, orientation_B4)

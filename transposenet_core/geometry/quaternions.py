"""Quaternion algebra in batches, in torch.

Rotations are unit quaternions w x y z that take camera axes to map axes, as in `Pose`. Everything is differentiable and
free of branches on values.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F


def rotated(orientation_B4: torch.Tensor, points_BN3: torch.Tensor) -> torch.Tensor:
    """Points rotated by unit quaternions: ``p + 2 w (v x p) + 2 v x (v x p)``."""
    w, v = orientation_B4[:, None, :1], orientation_B4[:, None, 1:].expand_as(points_BN3)
    twice = 2 * torch.linalg.cross(v, points_BN3)
    return points_BN3 + w * twice + torch.linalg.cross(v, twice)


def product(first_B4: torch.Tensor, second_B4: torch.Tensor) -> torch.Tensor:
    """The rotation `second`, then `first`: Hamilton's product of quaternions w x y z."""
    (w, v), (s, u) = ((q[:, :1], q[:, 1:]) for q in (first_B4, second_B4))
    scalar = w * s - (v * u).sum(dim=-1, keepdim=True)
    return torch.cat((scalar, w * u + s * v + torch.linalg.cross(v, u)), dim=-1)


def matrices(orientation_B4: torch.Tensor) -> torch.Tensor:
    """Rotation matrices (B, 3, 3) of unit quaternions w x y z."""
    w, x, y, z = orientation_B4.unbind(-1)
    rows = (
        (1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)),
        (2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)),
        (2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)),
    )
    return torch.stack([torch.stack(row, dim=-1) for row in rows], dim=-2)


def inverse(orientation_B4: torch.Tensor) -> torch.Tensor:
    """Unit quaternions w x y z of the inverse rotation."""
    return torch.cat((orientation_B4[:, :1], -orientation_B4[:, 1:]), dim=-1)


def small_rotation(rotation_vector_B3: torch.Tensor) -> torch.Tensor:
    """The quaternion of a rotation vector up to third order: half the angle for its tangent, so never singular."""
    half_B3 = rotation_vector_B3 / 2
    return F.normalize(torch.cat((torch.ones_like(half_B3[:, :1]), half_B3), dim=-1), dim=-1)


def cross_matrix(vector_XN3: torch.Tensor) -> torch.Tensor:
    """``[v]_x``, (..., 3, 3)."""
    x, y, z = vector_XN3.unbind(-1)
    zero = torch.zeros_like(x)
    rows = ((zero, -z, y), (z, zero, -x), (-y, x, zero))
    return torch.stack([torch.stack(row, dim=-1) for row in rows], dim=-2)


def rotation_vectors(to_X4: torch.Tensor, from_X4: torch.Tensor) -> torch.Tensor:
    """Rotation vectors (..., 3) of ``R_to R_from^T``, radians, at most half a turn long."""
    a, b = torch.broadcast_tensors(*(F.normalize(q, dim=-1) for q in (to_X4, from_X4)))
    (a_real, a_rest), (b_real, b_rest) = ((q[..., :1], q[..., 1:]) for q in (a, b))
    real = (a * b).sum(dim=-1, keepdim=True)
    rest = b_real * a_rest - a_real * b_rest - torch.linalg.cross(a_rest, b_rest)
    rest = torch.where(real < 0, -rest, rest)
    sine = torch.linalg.vector_norm(rest, dim=-1, keepdim=True)
    angle = 2 * torch.atan2(sine, real.abs())
    return rest * torch.where(sine > 1e-12, angle / sine.clamp(min=1e-12), 2.0)


def leading_eigenvector(symmetric_BNN: torch.Tensor) -> torch.Tensor:
    """The eigenvector (B, N) of the largest eigenvalue; NaN where the matrix is not finite.

    LAPACK refuses what is not finite; such a pose is passed on, because the localizer reports it by name.
    """
    finite_B1 = torch.isfinite(symmetric_BNN).flatten(1).all(dim=1, keepdim=True)
    symmetric_BNN = torch.where(finite_B1[..., None], symmetric_BNN, torch.zeros_like(symmetric_BNN))
    vector_BN = torch.linalg.eigh(symmetric_BNN).eigenvectors[..., -1]
    return torch.where(finite_B1, vector_BN, torch.full_like(vector_BN, torch.nan))

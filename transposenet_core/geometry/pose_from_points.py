"""The camera's pose from points known in both frames, each with its own uncertainty: closed form, then Gauss-Newton.

Everything is batched, differentiable and free of branches on values (see `quaternions`).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F

from transposenet_core.geometry.quaternions import cross_matrix, leading_eigenvector, product, rotated, small_rotation

ROBUST = 2.0  # standard deviations beyond which a point loses weight (Cauchy)


def aligned(
    p_camera_BN3: torch.Tensor, p_map_BN3: torch.Tensor, weight_BN: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Position (B, 3) and orientation (B, 4) that bring camera points onto map points: weighted least squares.

    Horn, "Closed-form solution of absolute orientation using unit quaternions", 1987: the eigenvector of the largest
    eigenvalue of a symmetric 4x4 matrix of the points' products.
    """
    weight_BN1 = (weight_BN / weight_BN.sum(dim=1, keepdim=True))[..., None]
    camera_B3, map_B3 = (weight_BN1 * p_camera_BN3).sum(dim=1), (weight_BN1 * p_map_BN3).sum(dim=1)
    S = (weight_BN1 * (p_camera_BN3 - camera_B3[:, None])).transpose(1, 2) @ (p_map_BN3 - map_B3[:, None])
    (xx, xy, xz), (yx, yy, yz), (zx, zy, zz) = (S[:, row].unbind(-1) for row in range(3))
    rows = (
        (xx + yy + zz, yz - zy, zx - xz, xy - yx),
        (yz - zy, xx - yy - zz, xy + yx, zx + xz),
        (zx - xz, xy + yx, yy - xx - zz, yz + zy),
        (xy - yx, zx + xz, yz + zy, zz - xx - yy),
    )
    N_B44 = torch.stack([torch.stack(row, dim=-1) for row in rows], dim=-2)
    orientation_B4 = leading_eigenvector(N_B44)
    return map_B3 - rotated(orientation_B4, camera_B3[:, None])[:, 0], orientation_B4


def refined(
    position_B3: torch.Tensor,
    orientation_B4: torch.Tensor,
    p_camera_BN3: torch.Tensor,
    p_map_BN3: torch.Tensor,
    variance_BN: torch.Tensor,
    ray_variance_BN: torch.Tensor,
    iterations: int,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """The pose after Gauss-Newton steps, and its information (B, 6, 6): position, then rotation vector in map axes.

    A point's residual has the covariance ``variance I + ray_variance r r^T``: in the map it is equally uncertain in all
    directions, in the camera's frame along its ray ``r = p / z`` alone, with ``ray_variance`` that of its depth. A
    plain alignment treats both alike, which doubles the error where depths are guessed from one image.
    """
    eye_33 = torch.eye(3, dtype=p_camera_BN3.dtype, device=p_camera_BN3.device)
    ray_BN3 = p_camera_BN3 / p_camera_BN3[..., 2:].clamp(min=1e-6)
    information_B66 = eye_33.new_zeros(len(position_B3), 6, 6)
    for _ in range(iterations):
        rotated_BN3, ray_map_BN3 = rotated(orientation_B4, p_camera_BN3), rotated(orientation_B4, ray_BN3)
        residual_BN3 = rotated_BN3 + position_B3[:, None] - p_map_BN3
        share_BN = ray_variance_BN / (variance_BN + ray_variance_BN * (ray_map_BN3**2).sum(dim=-1))
        along_BN33 = ray_map_BN3[..., :, None] * ray_map_BN3[..., None, :]  # Sherman-Morrison inverts the covariance
        precision_BN33 = (eye_33 - share_BN[..., None, None] * along_BN33) / variance_BN[..., None, None]
        weighted_BN3 = (precision_BN33 @ residual_BN3[..., None])[..., 0]
        distance_BN = (residual_BN3 * weighted_BN3).sum(dim=-1) / 3
        trust_BN = 1 / (1 + distance_BN / ROBUST**2)
        jacobian_BN36 = torch.cat((eye_33.expand_as(along_BN33), -cross_matrix(rotated_BN3)), dim=-1)
        weighted_BN36 = trust_BN[..., None, None] * (precision_BN33 @ jacobian_BN36)
        information_B66 = (jacobian_BN36.transpose(-1, -2) @ weighted_BN36).sum(dim=1)
        slope_B6 = (weighted_BN36 * residual_BN3[..., None]).sum(dim=(1, 2))
        damped = information_B66 + 1e-6 * torch.diag_embed(information_B66.diagonal(dim1=1, dim2=2))
        step_B6 = torch.linalg.solve(damped, -slope_B6)
        position_B3 = position_B3 + step_B6[:, :3]
        orientation_B4 = F.normalize(product(small_rotation(step_B6[:, 3:]), orientation_B4), dim=-1)
    return position_B3, orientation_B4, information_B66

"""Test-time optimisation of a position among the training poses near it.

Shavit, Keller, "Camera pose auto-encoders for improving pose regression", 2022: the position is the affine combination
of its nearest training positions whose latents fit the image's latent best. The paper finds the weights by a few
iterations of AdamW; the problem is a constrained least-squares one, so here they are its closed-form solution, which
needs no iterations and no state and is the same every time.
"""

from __future__ import annotations

import torch

from transposenet_core.models.retrieval import affine_weights


def pose_distance(
    position_B3: torch.Tensor,
    orientation_B4: torch.Tensor,
    known_positions_N3: torch.Tensor,
    known_orientations_N4: torch.Tensor,
    scale_B: torch.Tensor,
) -> torch.Tensor:
    """(B, N) squared: distance in units of `scale_B` metres, and the chord between unit quaternions of equal sign.

    These are the differences of the auto-encoder's inputs: a scene's radius weighs as much as a rotation by 60 degrees.
    """
    away_BN3 = (position_B3[:, None] - known_positions_N3) / scale_B[:, None, None]
    alike_BN = (orientation_B4 @ known_orientations_N4.mT).abs().clamp(max=1)
    return away_BN3.square().sum(dim=-1) + 2 - 2 * alike_BN


def combined_position(
    latent_BC: torch.Tensor, near_latents_BkC: torch.Tensor, near_positions_Bk3: torch.Tensor, ridge: float
) -> torch.Tensor:
    """Positions (B, 3): the affine combination of the near positions whose latents come closest to `latent_BC`.

    `ridge` pulls the weights towards equal ones, as in `affine_weights`. A latent that is not finite gives a position
    that is not finite, without an error.
    """
    weight_Bk = affine_weights(latent_BC.double(), near_latents_BkC.double(), ridge)
    # Relative to one of them: far from the map's origin this keeps the precision of the differences.
    origin_B13 = near_positions_Bk3[:, :1].double()
    away_B3 = torch.einsum("bk,bkd->bd", weight_Bk, near_positions_Bk3.double() - origin_B13)
    return (origin_B13[:, 0] + away_B3).to(near_positions_Bk3.dtype)

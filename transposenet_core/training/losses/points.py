"""Losses of the map points that cells see: their ground truth from depth, and a head discarded after training."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import torch
from torch import nn

from transposenet_core.errors import UserError
from transposenet_core.geometry.contraction import Contraction
from transposenet_core.geometry.quaternions import rotated
from transposenet_core.models import names_where
from transposenet_core.training.losses.labels import Labels

HIDDEN = 256
# A cell that is unsure of its point is pulled towards it by exp(-s), so a network learns the depths and gives the
# points up (Seitzer et al., "On the pitfalls of heteroscedastic uncertainty estimation", 2022). So much is added to the
# pull; of that of a learnt cell it is a few per cent.
LEAST_PULL = 1.0


class SeenPoints(nn.Module):
    """The points of the map that a view's cells see."""

    rows_N: torch.Tensor
    columns_N: torch.Tensor
    rays_N3: torch.Tensor

    def __init__(self, cells_N2: torch.Tensor, rays_N3: torch.Tensor) -> None:
        """`cells_N2` are the cells' centres in the view's pixels, `rays_N3` their directions with z = 1."""
        super().__init__()
        columns_N, rows_N = cells_N2.round().long().unbind(-1)
        for name, value in (("rows_N", rows_N), ("columns_N", columns_N), ("rays_N3", rays_N3)):
            self.register_buffer(name, value.clone(), persistent=False)

    def forward(self, labels: Labels) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Points (B, N, 3), their depths (B, N), and 1 where that is known, else 0 (B, N)."""
        assert labels.depth_BHW is not None  # checked by `check_depth`
        z_BN = labels.depth_BHW[:, self.rows_N, self.columns_N]
        points_BN3 = rotated(labels.orientation_B4, self.rays_N3 * z_BN[..., None]) + labels.position_B3[:, None]
        return points_BN3, z_BN, (z_BN > 0).float()


class AuxiliaryPointsLoss(nn.Module):
    """A pose loss and `weight` times the mean error, in metres, of the points that a head regresses from the network's
    map: the backbone learns the geometry of the scene. The head belongs to the loss, so it is in no scene model."""

    def __init__(self, pose: nn.Module, network: Any, weight: float) -> None:
        super().__init__()
        if not network.HAS_CELLS:
            able = " and ".join(names_where(lambda model: model.HAS_CELLS))
            raise UserError(
                f"loss.points is {weight:g}, but the configured model has no map of cells to regress points from; "
                f"{able} have one, for others set loss.points=0"
            )
        channels, cells_N2, rays_N3 = network.cells_seen()
        self.pose, self.weight = pose, weight
        terms: Any = pose.TERMS
        self.TERMS = (*terms, "points")
        self.seen = SeenPoints(cells_N2, rays_N3)
        self.head = nn.Sequential(nn.Conv2d(channels, HIDDEN, 1), nn.GELU(), nn.Conv2d(HIDDEN, 3, 1))

    def forward(self, output: dict[str, torch.Tensor], labels: Labels) -> dict[str, torch.Tensor]:
        """The pose's terms, and the mean distance of the ``points`` over the cells whose depth is known."""
        terms = self.pose(output, labels)
        true_BN3, _, known_BN = self.seen(labels)
        points_BN3 = self.head(output["cells_map"].float()).flatten(2).transpose(1, 2)
        away_BN = torch.linalg.vector_norm(points_BN3 - true_BN3, dim=-1) * known_BN
        points = away_BN.sum() / known_BN.sum().clamp(min=1)
        return {**terms, "loss": terms["loss"] + self.weight * points, "points": points}


class SceneCoordinateLoss(nn.Module):
    """Negative log-likelihood of the true points and depths under the Laplace distribution of each cell.

    ``|p - p*| exp(-s) + 3 s`` of a point and ``|z - z*| exp(-s_z) + s_z`` of its depth, with the scales that the cell
    itself predicts (Kendall and Gal, "What uncertainties do we need in Bayesian deep learning for computer vision?",
    2017, section 3.1, for a Laplace likelihood), over the cells whose depth is known; and `LEAST_PULL` times
    ``|p - p*|``. All of it in the network's units
    and in contracted space, where far points have errors of their bearing and inverse distance; a scene that is twice
    as large has the same loss.
    """

    TERMS: ClassVar[tuple[str, ...]] = ("loss", "points", "depth")
    centre_3: torch.Tensor

    def __init__(self, network: Any) -> None:
        """Of a network of `SceneCoordinates`: its cells, their rays, its centre and how it contracts space."""
        super().__init__()
        self.seen = SeenPoints(network.cells(), network.ray_cells_N3)
        self.contraction: Contraction = network.contraction
        self.register_buffer("centre_3", network.centre_3.clone(), persistent=False)

    def forward(self, output: dict[str, torch.Tensor], labels: Labels) -> dict[str, torch.Tensor]:
        """``loss``, and the mean distances of ``points`` and ``depth`` from the true ones in contracted space, in the
        scene's units."""
        true_BN3, z_BN, known_BN = self.seen(labels)
        count, space = known_BN.sum().clamp(min=1), self.contraction
        wanted_BN3 = space.contracted(true_BN3 - self.centre_3)
        points_BN = torch.linalg.vector_norm(output["contracted_points"] - wanted_BN3, dim=-1) * known_BN
        z_BN = torch.where(known_BN > 0, z_BN, space.unit)
        depth_BN = (space.contracted_depth(output["depth"]) - space.contracted_depth(z_BN)).abs() * known_BN
        scale_BN, depth_scale_BN = (
            (output[name] - math.log(space.unit)) * known_BN for name in ("log_scale", "depth_log_scale")
        )
        away_BN = points_BN * (torch.exp(-scale_BN) + LEAST_PULL) + depth_BN * torch.exp(-depth_scale_BN)
        loss = away_BN / space.unit + 3 * scale_BN + depth_scale_BN
        return {"loss": loss.sum() / count, "points": points_BN.sum() / count, "depth": depth_BN.sum() / count}

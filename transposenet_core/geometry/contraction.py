"""Contraction of space around a scene: as it is nearby, bounded far away, so that a city behind a terrace fits in.

Points within `reach` of the centre stay where they are. Beyond, the distance r becomes ``reach (2 - reach / r)`` in the
same direction (Barron et al., "Mip-NeRF 360", 2022, equation 10): continuous with its slope, linear in the inverse of
the distance, as parallax is. Everything, to infinity, lies within two reaches, where an error is one of the bearing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

FARTHEST = 1000.0  # reaches; what is contracted to the bound, or a network beyond it, is put there


@dataclass(frozen=True)
class Contraction:
    """``unit``: what lengths in the scene are compared with; ``reach``: the distance up to which nothing changes (inf:
    nowhere). Both in the units of the scene. Works on vectors (..., 3) and on depths (...) alike."""

    unit: float = 1.0
    reach: float = math.inf

    def contracted(self, vector: torch.Tensor) -> torch.Tensor:
        """Vectors (..., 3) from the centre, in contracted space."""
        return vector if math.isinf(self.reach) else vector * self._contracting(_length(vector))

    def expanded(self, vector: torch.Tensor) -> torch.Tensor:
        """The inverse of `contracted`."""
        if math.isinf(self.reach):
            return vector
        near = (_length(vector) / self.reach).clamp(min=1)  # without a branch: the gradient of both must be finite
        return vector / (near * (2 - near).clamp(min=1 / FARTHEST))

    def contracted_depth(self, depth: torch.Tensor) -> torch.Tensor:
        """Depths (...) above 0, contracted as distances are."""
        return depth if math.isinf(self.reach) else depth * self._contracting(depth)

    def stretch(self, distance: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """How much longer than in contracted space a short way is in the scene, at a distance (...) from the centre:
        across the line to it, and along it."""
        if math.isinf(self.reach):
            return torch.ones_like(distance), torch.ones_like(distance)
        return 1 / self._contracting(distance), (distance / self.reach).clamp(min=1) ** 2

    def _contracting(self, distance: torch.Tensor) -> torch.Tensor:
        share = self.reach / distance.clamp(min=self.reach)
        return share * (2 - share)


def _length(vector: torch.Tensor) -> torch.Tensor:
    """Lengths (..., 1) with a gradient at 0."""
    return (vector.square().sum(dim=-1, keepdim=True) + 1e-30).sqrt()

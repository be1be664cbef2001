"""How far away the things are that images show: what a step of the camera and an error of a point are compared with.

A point moves in the image by the camera's step divided by its depth, so depths are averaged by their inverse (the
harmonic mean): a city behind a terrace, a hundred times as far away as the railing, hardly counts.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

NEAR = 0.05  # share of an image's pixels that are nearer than its near depth


@dataclass(frozen=True, eq=False)
class Distances:
    """Of N images: ``typical_N``, the harmonic mean of the measured depths of each, and ``near_N``, the depth that 5 %
    of them fall short of, both (N,) float32 and 0 without depth; ``scene``, the harmonic mean over all images. In the
    units of the scene."""

    typical_N: torch.Tensor
    near_N: torch.Tensor
    scene: float

    @classmethod
    def of(cls, depth_NHW: torch.Tensor) -> Distances:
        """From depths (N, H, W) as `registered_depth` makes them: guesses, below 0, do not count. ``scene`` is 1 where
        nothing was measured."""
        typical_N, near_N = torch.zeros(2, len(depth_NHW), device=depth_NHW.device)
        for number, depth_HW in enumerate(depth_NHW):
            z_K = depth_HW[depth_HW > 0].float()
            if len(z_K):
                typical_N[number] = 1 / (1 / z_K).mean()
                near_N[number] = z_K.kthvalue(int(NEAR * (len(z_K) - 1)) + 1).values
        known_K = typical_N[typical_N > 0]
        return cls(typical_N, near_N, float(1 / (1 / known_K).mean()) if len(known_K) else 1.0)

    def to(self, device: torch.device) -> Distances:
        return Distances(self.typical_N.to(device), self.near_N.to(device), self.scene)

    def chosen(self, index_B: torch.Tensor, device: torch.device) -> Distances:
        """Those of a selection of the images on a device; ``scene`` stays that of all."""
        there_B = index_B.to(self.typical_N.device)
        return Distances(self.typical_N[there_B].to(device), self.near_N[there_B].to(device), self.scene)

"""Labels for losses in tests."""

from __future__ import annotations

import torch

from transposenet_core.training.losses.labels import Labels


def labels(
    position_B3: torch.Tensor,
    orientation_B4: torch.Tensor,
    depth_BHW: torch.Tensor | None = None,
    scene_B: torch.Tensor | None = None,
) -> Labels:
    """Labels of one scene by default."""
    scene_B = torch.zeros(len(position_B3), dtype=torch.int64) if scene_B is None else scene_B
    return Labels(position_B3, orientation_B4, depth_BHW, scene_B)

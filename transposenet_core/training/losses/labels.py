"""Labels, with which a loss compares the output of a network.

A loss takes an output and the labels of its views; ``TERMS`` names what it returns, with ``loss`` first if there is
one.
"""

from __future__ import annotations

from typing import NamedTuple

import torch


class Labels(NamedTuple):
    """For a batch of views the camera's position (B, 3) in metres and orientation (B, 4) w x y z, ``T_map_camera``;
    the views' depth (B, H, W) in metres, 0 where unknown, None if not loaded; and the scene of each (B,)."""

    position_B3: torch.Tensor
    orientation_B4: torch.Tensor
    depth_BHW: torch.Tensor | None
    scene_B: torch.Tensor

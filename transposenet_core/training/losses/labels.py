"""What a loss compares a network's output with.

A loss takes an output and the labels of the views that it was made from; ``TERMS`` names what it returns, ``loss``
first where there is one.
"""

from __future__ import annotations

from typing import NamedTuple

import torch


class Labels(NamedTuple):
    """Of a batch of views the camera's position (B, 3) in metres and orientation (B, 4) w x y z, ``T_map_camera``;
    where depth is loaded the views' (B, H, W) in metres, 0 where it is not known; and which scene each is of (B,)."""

    position_B3: torch.Tensor
    orientation_B4: torch.Tensor
    depth_BHW: torch.Tensor | None
    scene_B: torch.Tensor

"""What PoseNet and its kin stand on: GoogLeNet with three places to regress from, or a backbone with one."""

from __future__ import annotations

from typing import Any

from transposenet_core.models.backbone import backbone_names, build_backbone
from transposenet_core.models.googlenet import GoogLeNet, TorchvisionGoogLeNet

DEEPEST = 5  # the reduction level in front of a backbone's classifier
_GOOGLENETS = {"googlenet": GoogLeNet, "googlenet_tv": TorchvisionGoogLeNet}


def trunk_names() -> list[str]:
    return [*_GOOGLENETS, *backbone_names()]


def build_trunk(name: str, drop_connect: float) -> Any:
    """A module that takes images (B, 3, H, W) and returns named maps; its ``channels`` has their depths, the last of
    which is the deepest. Random weights. ValueError names what is allowed, UserError where torchvision is missing."""
    if name in _GOOGLENETS:
        return _GOOGLENETS[name]()
    if name not in backbone_names():
        raise ValueError(f"backbone '{name}' is unknown, known are {', '.join(trunk_names())}")
    return build_backbone(name, (DEEPEST,), drop_connect)

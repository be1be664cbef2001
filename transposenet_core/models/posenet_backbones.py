"""Backbones of PoseNet and its variants: GoogLeNet, with three maps to regress from, or a backbone with one."""

from __future__ import annotations

from typing import Any

from transposenet_core.models.backbone import backbone_names, build_backbone
from transposenet_core.models.googlenet import GoogLeNet, TorchvisionGoogLeNet

DEEPEST = 5  # the reduction level in front of a backbone's classifier
_GOOGLENETS = {"googlenet": GoogLeNet, "googlenet_tv": TorchvisionGoogLeNet}


def posenet_backbone_names() -> list[str]:
    return [*_GOOGLENETS, *backbone_names()]


def build_posenet_backbone(name: str, drop_connect: float) -> Any:
    """A module that takes images (B, 3, H, W) and returns named maps, the deepest one last; its ``channels`` are their
    depths. Random weights. ValueError for an unknown name, UserError if torchvision is missing."""
    if name in _GOOGLENETS:
        return _GOOGLENETS[name]()
    return build_backbone(name, (DEEPEST,), drop_connect)

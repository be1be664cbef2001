"""Every model by name, small enough for a test: its options and images of its size."""

from __future__ import annotations

from typing import Any

import torch

from transposenet_core.models import build_model

SIZE = (72, 96)
NARROW = {"width": 32, "mlp_width": 32, "head_width": 64, "heads": 2}
OPTIONS: dict[str, dict] = {
    "bayesian_posenet": {"feature_width": 64},
    "coarse_to_fine": NARROW | {"encoder_layers": 1, "decoder_layers": 1},
    "multiscene_transformer": NARROW | {"encoder_layers": 1, "decoder_layers": 1},
    "pose_autoencoder": {"teacher_options": NARROW | {"layers": 1}, "poses": 5, "neighbours": 3, "decoder": True},
    "poselstm": {"feature_width": 64},
    "posenet": {"feature_width": 64},
    "retrieval": {},
    "scene_coordinates": {"layers": 1, "width": 32, "mlp_width": 32, "camera": [70.0, 70.0, 47.5, 35.5]},
    "transposenet": NARROW | {"layers": 1},
    "transposenet_fast": NARROW | {"layers": 1},
}


def small_model(name: str, **options: Any) -> tuple[Any, dict]:
    """A network with seeded random weights, and the options that build it again."""
    whole = {"image_size": list(SIZE), **OPTIONS[name], **options}
    torch.manual_seed(4)
    return build_model(name, **whole), whole


@torch.no_grad()
def make_attentive(network: Any) -> None:
    """Make the output of a network with random weights depend on the image, which that of a new one hardly does: its
    batch statistics become those of noise, and its layers keep the size of what they are given."""
    for layer in network.modules():
        if isinstance(layer, torch.nn.Linear):
            layer.weight.normal_(std=1.4 / layer.in_features**0.5)
    backbone = getattr(network, "teacher", network).backbone
    if backbone is None:
        return
    norms = [module for module in backbone.modules() if isinstance(module, torch.nn.BatchNorm2d)]
    for norm in norms:
        norm.train()
        norm.momentum = 1.0
    backbone(torch.randn(8, 3, *SIZE))
    for norm in norms:
        norm.eval()

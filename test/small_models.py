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

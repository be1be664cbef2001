"""Scene models with random weights whose outputs still differ from image to image."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from transposenet_core.models import build_model
from transposenet_core.preprocessing import Preprocessing, normalise
from transposenet_core.scene_model import HeldOutError, MappedScene, SceneModel

NARROW = {"layers": 1, "heads": 2, "width": 32, "mlp_width": 32, "head_width": 64}
HELD_OUT = HeldOutError((0.1, 0.2, 0.3), (0.01, 0.02, 0.03), "none: random weights")


def one_scene(name: str = "textures", map_frame: str = "map", **fields: Any) -> tuple[MappedScene]:
    """The scenes of a model of one scene."""
    return (MappedScene(name, map_frame, fields.pop("held_out_error", HELD_OUT), **fields),)


def with_scene(model: SceneModel, **fields: Any) -> SceneModel:
    """The model with other fields in its one scene."""
    (scene,) = model.scenes
    return replace(model, scenes=(replace(scene, **fields),))


def save_untrained(
    folder: Path,
    images: Iterable[np.ndarray],
    preprocessing: Preprocessing,
    options: dict | None = None,
    name: str = "textures",
    map_frame: str = "map",
) -> Path:
    """Seeded random weights; batch norm has seen the images, or all outputs of the model would be alike."""
    options = {"image_size": list(preprocessing.image_size), **(NARROW if options is None else options)}
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(5)
        network = build_model("transposenet", **options)
        resized = [preprocessing.crop(preprocessing.resize(image_HW3)) for image_HW3 in images]
        show_to_batch_norms(network, normalise(torch.stack(resized)))
    model = SceneModel("transposenet", options, preprocessing, network.eval(), one_scene(name, map_frame))
    model.save(folder)
    return folder


def show_to_batch_norms(network: nn.Module, image_B3HW: torch.Tensor) -> None:
    """Give batch norms the statistics of these images."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.reset_running_stats()
            module.momentum = None
    network.train()(image_B3HW)
    network.eval()


def save_drawing(folder: Path, model: SceneModel) -> Path:
    """The model as the teacher of an auto-encoder with a decoder, both with random weights, and no refinement."""
    options = {"teacher": model.architecture, "teacher_options": model.options, "neighbours": 0, "decoder": True}
    options["image_size"] = list(model.preprocessing.image_size)
    with torch.random.fork_rng():
        torch.manual_seed(6)
        network = build_model("pose_autoencoder", **options)
    network.teacher.load_state_dict(model.network.state_dict())
    with torch.no_grad():
        for parameter in network.decoder.parameters():
            parameter.mul_(4)  # or every image would be the same grey
    drawing = replace(model, architecture="pose_autoencoder", options=options, network=network.eval())
    drawing.save(folder, half_precision=True)
    return folder

"""Models by name. Each takes ``image_B3HW`` and returns named tensors; a registry maps a name to its builder."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable
from typing import Any

from torch import nn

from transposenet_core.errors import UserError
from transposenet_core.models.bayesian_posenet import BayesianPoseNet
from transposenet_core.models.coarse_to_fine import CoarseToFine
from transposenet_core.models.multiscene_transformer import MultiSceneTransformer
from transposenet_core.models.pose_autoencoder import PoseAutoencoder
from transposenet_core.models.poselstm import PoseLSTM
from transposenet_core.models.posenet import PoseNet
from transposenet_core.models.retrieval import Retrieval
from transposenet_core.models.scene_coordinates import SceneCoordinates
from transposenet_core.models.transposenet import TransPoseNet
from transposenet_core.models.transposenet_fast import TransPoseNetFast

_BUILDERS: dict[str, Callable[..., nn.Module]] = {
    "transposenet": TransPoseNet,
    "transposenet_fast": TransPoseNetFast,
    "scene_coordinates": SceneCoordinates,
    "posenet": PoseNet,
    "retrieval": Retrieval,
    "poselstm": PoseLSTM,
    "bayesian_posenet": BayesianPoseNet,
    "multiscene_transformer": MultiSceneTransformer,
    "coarse_to_fine": CoarseToFine,
    "pose_autoencoder": PoseAutoencoder,
}


def model_names() -> list[str]:
    return sorted(_BUILDERS)


def names_with_latents() -> list[str]:
    """Models whose ``encode`` and ``regress`` a `pose_autoencoder` can learn from."""
    return [name for name in model_names() if hasattr(getattr(_BUILDERS[name], "func", _BUILDERS[name]), "regress")]


def build_model(name: str, **options: object) -> nn.Module:
    """The model `name` with its options (`default_options` lists them). ValueError names what is allowed."""
    allowed = default_options(name)
    for key in options:
        if key not in allowed:
            near = difflib.get_close_matches(key, allowed, n=1)
            hint = f"; did you mean '{near[0]}'?" if near else ""
            raise UserError(f"model '{name}' has no option '{key}', its options are {', '.join(allowed)}{hint}")
    return _BUILDERS[name](**options)


def default_options(name: str) -> dict[str, object]:
    """The options of a model and their defaults, read from its constructor. ValueError for an unknown model."""
    if name not in _BUILDERS:
        raise ValueError(f"unknown model '{name}', known models: {', '.join(model_names())}")
    parameters = inspect.signature(_BUILDERS[name]).parameters
    return {key: parameter.default for key, parameter in parameters.items()}


def knows_rays(name: str, options: dict) -> bool:
    """Whether a model with these options knows the rays of the cells it sees, which are those of the centre's window:
    of another window of the picture its answer would be wrong by construction."""
    if name == "pose_autoencoder":
        return knows_rays(str(options.get("teacher", "")), options.get("teacher_options") or {})
    return name == "scene_coordinates" or options.get("position_encoding") == "rays"


def describe_option(name: str, option: str) -> str:
    """What an option of a model means and where its default comes from: the model's own ``OPTIONS``."""
    builder: Any = _BUILDERS[name]
    return getattr(builder, "func", builder).OPTIONS[option]  # of a partial, what it is a part of

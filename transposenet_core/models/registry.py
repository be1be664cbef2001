"""Models by name. A module is imported when its model is requested, so that a model may build another one."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable
from typing import Any

from torch import nn

from transposenet_core.errors import UserError
from transposenet_core.models.contract import PoseModel
from transposenet_core.suggestions import did_you_mean

# Name -> class, in the module of the same name.
_CLASSES = {
    "transposenet": "TransPoseNet",
    "transposenet_fast": "TransPoseNetFast",
    "scene_coordinates": "SceneCoordinates",
    "posenet": "PoseNet",
    "retrieval": "Retrieval",
    "poselstm": "PoseLSTM",
    "bayesian_posenet": "BayesianPoseNet",
    "multiscene_transformer": "MultiSceneTransformer",
    "coarse_to_fine": "CoarseToFine",
    "pose_autoencoder": "PoseAutoencoder",
}


def model_names() -> list[str]:
    return sorted(_CLASSES)


def model_class(name: str) -> type[PoseModel]:
    """The class of the model `name`; its attributes describe what it needs and can do. UserError lists the models."""
    if name not in _CLASSES:
        known = f"known models: {', '.join(model_names())}"
        raise UserError(f"unknown model '{name}', {known}{did_you_mean(name, _CLASSES)}")
    return getattr(importlib.import_module(f"transposenet_core.models.{name}"), _CLASSES[name])


def names_where(able: Callable[[type[PoseModel]], bool]) -> list[str]:
    """The models whose class fulfils `able`, for messages and choices."""
    return [name for name in model_names() if able(model_class(name))]


def build_model(name: str, **options: object) -> Any:
    """The model `name` with its options (`default_options` lists them): a `PoseModel` that is an ``nn.Module``.
    UserError for an unknown option; ValueError for a value that is not allowed."""
    allowed = default_options(name)
    for key in options:
        if key not in allowed:
            raise UserError(
                f"model '{name}' has no option '{key}', its options are {', '.join(allowed)}"
                f"{did_you_mean(key, allowed)}"
            )
    model = model_class(name)
    for key, value in options.items():
        model.ALLOWED[key](key, value)
    return model(**options)


def default_options(name: str) -> dict[str, object]:
    """The options of a model and their defaults, as its constructor has them. UserError for an unknown model."""
    model: Any = model_class(name)
    documented = next(each for each in model.__mro__ if "OPTIONS" in vars(each))
    parameters = list(inspect.signature(documented.__init__).parameters.items())[1:]
    return {key: parameter.default for key, parameter in parameters} | model.DEFAULTS


def describe_option(name: str, option: str) -> str:
    """What an option of a model means and where its default comes from: the model's own ``OPTIONS``."""
    return model_class(name).OPTIONS[option]


def build_teacher(name: str, options: dict) -> Any:
    """The frozen network `name`. UserError if it has no latents of position and orientation."""
    if not model_class(name).HAS_LATENTS:
        able = names_where(lambda model: model.HAS_LATENTS)
        raise UserError(
            f"model '{name}' has no latents of position and orientation and cannot be a teacher; use one of "
            f"{', '.join(able)}"
        )
    network: nn.Module = build_model(name, **options)
    return network.requires_grad_(False).eval()

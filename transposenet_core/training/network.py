"""The configured network: options, initial weights, preprocessing, arithmetic."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from transposenet_core.checkpoints.importing import load_pretrained_backbone
from transposenet_core.errors import UserError
from transposenet_core.geometry.intrinsics import Intrinsics
from transposenet_core.geometry.pose import stack
from transposenet_core.models import build_model, default_options, model_class, names_where
from transposenet_core.preprocessing import Preprocessing
from transposenet_core.scene import PosedImage, Scene
from transposenet_core.scene_model import SceneModel
from transposenet_core.training.config import TrainConfig
from transposenet_core.training.data.distances import Distances
from transposenet_core.training.stages import Stage, load_start


def preprocessing_of(config: TrainConfig) -> Preprocessing:
    """UserError where the configured images would take gigabytes each."""
    image = config.image
    try:
        return Preprocessing(image.smaller_edge, (image.height, image.width), image.crops)
    except ValueError as error:
        raise UserError(f"image.height={image.height}, image.width={image.width}: {error}; set them lower") from None


def check_scene_count(config: TrainConfig, scenes: int) -> None:
    """UserError if the configured model is not for this many scenes, or unknown."""
    asked, model = config.model.options.get("scenes", scenes), model_class(config.model.name)
    if model.LEARNS_FROM == "teacher":
        return  # as many as its teacher, checked when that is loaded
    if model.TAKES_SCENES:
        if asked != scenes:
            raise UserError(
                f"model.options.scenes is {asked}, but --data is given {scenes} times; leave the option out"
            )
    elif scenes > 1:
        able = ", ".join(names_where(lambda each: each.TAKES_SCENES))
        raise UserError(
            f"model '{config.model.name}' is for one scene, but --data is given {scenes} times; for several use {able}"
        )


def check_start(config: TrainConfig, scenes: Sequence[Scene]) -> None:
    """UserError if `start_from` has several scenes and they are not these in this order: its queries and clusters are
    numbered, so they would belong to another scene."""
    if config.start_from and len(scenes) > 1:
        known = [scene.name for scene in SceneModel.described(config.start_from).scenes]
        given = [scene.name for scene in scenes]
        if known != given:
            raise UserError(
                f"{config.start_from}: a model of {', '.join(known)}, but --data gives {', '.join(given)}; give the "
                "same scenes in the same order"
            )


def model_options(config: TrainConfig, stage: Stage, camera: Intrinsics | None = None, scenes: int = 1) -> dict:
    """The options of `build_model` for the stage's network, including defaults, which another version may change.

    `camera` is that of the images as they were recorded, of the network's first scene.
    """
    defaults, model = default_options(config.model.name), model_class(config.model.name)
    given = config.model.options | {"image_size": [config.image.height, config.image.width]}
    if model.TAKES_SCENES:
        given["scenes"] = scenes
    if camera is not None and model.TAKES_CAMERA:
        given["camera"] = list(preprocessing_of(config).window_camera(camera))
    return stage.options({**defaults, **given})


def with_typical_depth(config: TrainConfig, distances: Distances | None, run: Path | None = None) -> TrainConfig:
    """The configuration with the model's option `typical_depth`, where it has one and none is given.

    It is that of the scene model that a resumed `run`, a folder, has left: its weights mean nothing with another one,
    as one from before the option had, or from depth images that were made anew. Else that of the scene model to start
    from, else the measured one, to three digits.
    """
    if not model_class(config.model.name).MEASURES_DEPTH or "typical_depth" in config.model.options:
        return config
    earlier = str(run) if run is not None and is_described(run) else config.start_from
    if earlier:
        depth = SceneModel.described(earlier).options.get("typical_depth", 0.0)
    else:
        depth = float(f"{distances.scene:.3g}") if distances else 0.0
    return replace(config, model=replace(config.model, options=config.model.options | {"typical_depth": depth}))


def is_described(folder: Path) -> bool:
    """Whether the folder has the description of a scene model: not before a run's first validation."""
    try:
        SceneModel.described(folder)
    except UserError:
        return False
    return True


def build_network(
    config: TrainConfig, stage: Stage, training: Sequence[Sequence[PosedImage]], camera: Intrinsics | None = None
) -> Any:
    """The configured `PoseModel`, with the weights of `start_from` or returning the mean training pose of each scene.

    Raises UserError if it cannot be built or `start_from` does not fit.
    """
    model, options = model_class(config.model.name), model_options(config, stage, camera, len(training))
    if config.image.crops > 1 and model.has_fixed_window(config.model.options):
        raise UserError(
            f"image.crops is {config.image.crops}, but model '{config.model.name}' has the rays of the centre window "
            "only; set it to 1"
        )
    torch.manual_seed(config.seed)
    try:
        network = build_model(config.model.name, **options)
    except (ValueError, TypeError, RuntimeError, ArithmeticError) as error:
        reason = " ".join(str(error).split())[:200]
        given = config.model.options
        raise UserError(f"model '{config.model.name}' with options {given} cannot be built: {reason}") from None
    if config.start_from:
        load_start(network, options, config.start_from)
        return network
    try:
        network.start_from_poses([stack([image.pose for image in images]) for images in training])
    except ValueError as error:
        raise UserError(f"model '{config.model.name}': {error}") from None
    return network


def fill_backbone(network: Any, config: TrainConfig) -> str:
    """Load the backbone's pretrained weights, if any. Returns their origin, for `start_from` that of its provenance;
    UserError if they cannot be loaded."""
    if config.start_from:
        return str(SceneModel.described(config.start_from).provenance.get("backbone", "unknown"))
    if config.backbone.weights == "none":
        return "from scratch"
    if network.backbone is None:
        raise UserError(
            f"backbone.weights is '{config.backbone.weights}', but model '{config.model.name}' with options "
            f"{config.model.options} has no backbone; set backbone.weights=none"
        )
    name = str({**default_options(config.model.name), **config.model.options}["backbone"])
    source = load_pretrained_backbone(network.backbone, name, config.backbone.weights)
    print(f"backbone: {source}", flush=True)
    return source


def make_repeatable(config: TrainConfig) -> None:
    """Configure CUDA: TF32 and the fastest kernels, or with `deterministic` the same ones every time."""
    if config.deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(config.deterministic)
    torch.backends.cudnn.benchmark = not config.deterministic
    torch.set_float32_matmul_precision("highest" if config.deterministic else "high")

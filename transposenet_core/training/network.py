"""The configured network and its surroundings: options, first weights, preprocessing, arithmetic."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import torch

from transposenet_core.checkpoints.importing import load_pretrained_backbone
from transposenet_core.errors import UserError
from transposenet_core.geometry.pose import mean_pose, stack
from transposenet_core.models import build_model, default_options, knows_rays, model_names
from transposenet_core.preprocessing import Preprocessing
from transposenet_core.scene import Intrinsics, PosedImage, Scene
from transposenet_core.scene_model import SceneModel
from transposenet_core.training.augmentation.virtual_rotation import window_camera
from transposenet_core.training.config import TrainConfig
from transposenet_core.training.stages import Stage, load_start


def preprocessing_of(config: TrainConfig) -> Preprocessing:
    picture = config.picture
    return Preprocessing(picture.smaller_edge, (picture.height, picture.width), picture.crops)


def check_scene_count(config: TrainConfig, scenes: int) -> None:
    """UserError where the configured model is not for so many scenes, or unknown."""
    asked = config.model.options.get("scenes", scenes)
    if config.model.name not in model_names():
        raise UserError(f"unknown model '{config.model.name}', known models: {', '.join(model_names())}")
    if config.model.name == "pose_autoencoder":
        return  # as many as its teacher's, which is looked at where that is loaded
    if "scenes" in default_options(config.model.name):
        if asked != scenes:
            raise UserError(
                f"model.options.scenes is {asked}, and --data is given {scenes} times; leave the option out"
            )
    elif scenes > 1:
        able = ", ".join(name for name in model_names() if "scenes" in default_options(name))
        raise UserError(
            f"model '{config.model.name}' learns one scene, and --data is given {scenes} times; several: {able}"
        )


def check_start(config: TrainConfig, scenes: Sequence[Scene]) -> None:
    """UserError where `start_from` knows several scenes and they are not these in this order: its queries and clusters
    are numbered, so they would be another scene's."""
    if config.start_from and len(scenes) > 1:
        known = [scene.name for scene in SceneModel.load(config.start_from).scenes]
        given = [scene.name for scene in scenes]
        if known != given:
            raise UserError(
                f"{config.start_from}: a model of {', '.join(known)}, and --data gives {', '.join(given)}; give the "
                "same in the same order"
            )


def model_options(config: TrainConfig, stage: Stage, camera: Intrinsics | None = None, scenes: int = 1) -> dict:
    """What builds the stage's network again, by `build_model`: defaults included, which another version may change."""
    defaults = default_options(config.model.name)
    given = config.model.options | {"image_size": [config.picture.height, config.picture.width]}
    if "scenes" in defaults:
        given["scenes"] = scenes
    if camera is not None and "camera" in defaults:
        given["camera"] = list(window_camera(camera, preprocessing_of(config)))
    return stage.options({**defaults, **given})


def build_network(
    config: TrainConfig,
    stage: Stage,
    training: Sequence[PosedImage],
    camera: Intrinsics | None = None,
    further: Sequence[Sequence[PosedImage]] = (),
) -> Any:
    """The configured network, as `start_from` has it or answering the training set's mean pose; `further` are the
    training sets of further scenes.

    Raises UserError where it cannot be built or `start_from` does not fit.
    """
    if config.picture.crops > 1 and knows_rays(config.model.name, config.model.options):
        raise UserError(
            f"picture.crops is {config.picture.crops}, and model '{config.model.name}' knows the rays of the centre's "
            "window alone; set it to 1"
        )
    torch.manual_seed(config.seed)
    try:
        network: Any = build_model(config.model.name, **model_options(config, stage, camera, 1 + len(further)))
    except (ValueError, TypeError, RuntimeError, ArithmeticError) as error:
        reason = " ".join(str(error).split())[:200]
        given = config.model.options
        raise UserError(f"model '{config.model.name}' with options {given} cannot be built: {reason}") from None
    if stage.learns != "all" and not hasattr(network, stage.learns):
        raise UserError(f"heads.epochs is above 0, but model '{config.model.name}' has no {stage.learns}; set it to 0")
    if config.start_from:
        load_start(network, config.start_from)
        return network
    if hasattr(network, "start_from_scenes"):
        try:
            network.start_from_scenes([stack([image.pose for image in images]) for images in (training, *further)])
        except ValueError as error:
            raise UserError(f"model '{config.model.name}': {error}") from None
        return network
    start = mean_pose([image.pose for image in training])
    network.start_from(torch.from_numpy(start.position), torch.from_numpy(start.orientation))
    if hasattr(network, "scale_from"):
        network.scale_from(torch.from_numpy(stack([image.pose for image in training])[0]))
    return network


def fill_backbone(network: Any, config: TrainConfig) -> str:
    """Give the backbone its pretrained weights, if any. Returns where its weights come from, which for `start_from` is
    what that says; UserError where they cannot be had."""
    if config.start_from:
        return str(SceneModel.load(config.start_from).provenance.get("backbone", "unknown"))
    if config.backbone.weights == "none":
        return "from scratch"
    if not hasattr(network, "backbone"):
        raise UserError(
            f"backbone.weights is '{config.backbone.weights}', but model '{config.model.name}' with options "
            f"{config.model.options} has no backbone; set backbone.weights=none"
        )
    name = str({**default_options(config.model.name), **config.model.options}["backbone"])
    source = load_pretrained_backbone(network.backbone, name, config.backbone.weights)
    print(f"backbone: {source}", flush=True)
    return source


def make_repeatable(config: TrainConfig) -> None:
    """How CUDA computes: TF32 and the fastest kernels, or with `deterministic` the same ones every time."""
    if config.deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(config.deterministic)
    torch.backends.cudnn.benchmark = not config.deterministic
    torch.set_float32_matmul_precision("highest" if config.deterministic else "high")

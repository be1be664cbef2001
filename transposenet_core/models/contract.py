"""The interface of every model: what it takes and returns, what it needs and what it can do.

Code outside of `models` does not depend on the name of a model, on its layers or on whether it has a method: it reads
the class attributes below, whose defaults mean "no". `test/core/models/test_contract.py` checks every model against
this interface.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal, NamedTuple, Protocol

import numpy as np
import torch
from torch import nn

from transposenet_core.geometry.pose import mean_of_stacked
from transposenet_core.models.allowed import Check

# The training poses of one scene, those of the camera: positions (N, 3) metres, orientations (N, 4) w x y z.
ScenePoses = tuple[np.ndarray, np.ndarray]


class OutputKey(NamedTuple):
    """A tensor in a model's output. ``axes`` names its sizes; whole numbers are fixed, letters the same for the whole
    output: B images, S scenes, K and L clusters, N cells, A auxiliary regressors, M neighbours, W of a latent."""

    axes: tuple[str | int, ...]
    unit: str
    meaning: str


OUTPUTS: dict[str, OutputKey] = {
    "position": OutputKey(("B", 3), "m", "of T_map_camera"),
    "orientation": OutputKey(("B", 4), "1", "of T_map_camera, w x y z; of unit length outside of training"),
    "covariance": OutputKey(("B", 6, 6), "m^2, rad^2", "of position, then rotation vector, along the map's axes"),
    "position_attention": OutputKey(("B", "H", "V"), "1", "attention of the position token to the cells; on request"),
    "orientation_attention": OutputKey(("B", "P", "Q"), "1", "the same of the orientation token; on request"),
    "position_latent": OutputKey(("B", "W"), "1", "what the position is regressed from; from `encode` only"),
    "orientation_latent": OutputKey(("B", "W"), "1", "the same for the orientation; from `encode` only"),
    "cells_map": OutputKey(("B", "C", "P", "Q"), "1", "the map behind `cells_seen`; in training only"),
    "auxiliary_position": OutputKey(("B", "A", 3), "m", "of the auxiliary regressors; in training only"),
    "auxiliary_orientation": OutputKey(("B", "A", 4), "any", "the same, of any length; in training only"),
    "points": OutputKey(("B", "N", 3), "m", "the point of the map that a cell sees"),
    "contracted_points": OutputKey(
        ("B", "N", 3), "m", "the same from the centre, in contracted space; in training only"
    ),
    "depth": OutputKey(("B", "N"), "m", "of that point along the optical axis"),
    "log_scale": OutputKey(("B", "N"), "log m", "of the point's deviation, in contracted space"),
    "depth_log_scale": OutputKey(("B", "N"), "log m", "of the depth's deviation, in contracted space"),
    "neighbours": OutputKey(("B", "M"), "index", "of the training images that the pose is combined from"),
    "weights": OutputKey(("B", "M"), "1", "of the neighbours; their sum is 1"),
    "candidate_position": OutputKey(("B", "Z", 3), "m", "of several poses, of which refinement tells the right one"),
    "candidate_orientation": OutputKey(("B", "Z", 4), "1", "the orientations that go with them"),
    "scene": OutputKey(("B",), "index", "the likeliest scene, in whose map the pose is"),
    "scene_log_probability": OutputKey(("B", "S"), "log 1", "of each scene"),
    "scene_positions": OutputKey(("B", "S", 3), "m", "the position if the image is of that scene"),
    "scene_orientations": OutputKey(("B", "S", 4), "1", "the orientation if the image is of that scene"),
    "position_cluster_log_probability": OutputKey(("B", "S", "K"), "log 1", "of each cluster of a scene's positions"),
    "orientation_cluster_log_probability": OutputKey(("B", "S", "L"), "log 1", "of each of its orientations"),
    "cluster_positions": OutputKey(("B", "S", "K", 3), "m", "the position if it lies in that cluster"),
    "cluster_orientations": OutputKey(("B", "S", "L", 4), "1", "the orientation if it lies in that cluster"),
}
# What `convertible` returns beside these, where it is not the whole of `forward`.
CONVERTED: dict[str, OutputKey] = {
    "numbers": OutputKey(
        ("B", "N", 6),
        "various",
        "of each cell: its point from the centre in contracted space and in "
        "units of half the typical depth, twice the logarithm of its relative depth, the logarithms of both scales",
    ),
    "descriptor": OutputKey(("B", "W"), "1", "of the image, of unit length"),
    "latent": OutputKey(("B", "W"), "1", "what all dropout samples start from"),
}
# What every model returns outside of training; a model may return more.
ALWAYS = ("position", "orientation")


class PoseModel(Protocol):
    """A network from images to poses. A model subclasses this beside ``nn.Module`` and states what differs.

    Class attributes: ``OPTIONS`` documents the constructor's arguments; ``ALLOWED`` has a check of each, which
    `build_model` applies (options of models from elsewhere decide on memory and time); ``DEFAULTS`` are a variant's,
    where they differ from those of the class that documents them. ``LOSS`` names its loss in `training.losses`;
    ``LEARNS_FROM`` is images or the latents of a trained teacher. ``NEEDS_DEPTH``: training needs depth images.
    ``TAKES_CAMERA``: its option `camera` is the pinhole of the window. ``MEASURES_DEPTH``: its option `typical_depth`
    is measured in the depth images. ``TAKES_SCENES``: its option `scenes` is their number, and one network may have
    several. ``MEMORISES``: it has no gradient; `memorise` adds training images, `forget` removes them.
    ``HAS_LATENTS``: `encode` and `regress` are the two halves of `forward`, so it can be a teacher. ``HEADS`` are the
    modules that the paper's second stage trains one by one, and ``PRIOR_OPTION`` is the option that gives the last of
    them a second input. ``HAS_CELLS``: `cells_seen` returns where the cells of ``cells_map`` are. ``SILENT_OPTIONS``
    change what the weights compute but not their shapes.

    Attributes of a network: ``image_size`` (height, width) of the window it is made for; ``scenes``, their number;
    ``backbone``, None if it has none; ``latent_width`` of the latents, 0 without; ``has_attention``: `forward` takes
    `with_attention`; ``can_render``: it renders the image that it expects at a pose; ``converts``: `convertible` has
    enough work for another back end than torch.
    """

    OPTIONS: ClassVar[dict[str, str]]
    ALLOWED: ClassVar[dict[str, Check]]
    DEFAULTS: ClassVar[dict[str, Any]] = {}
    LOSS: ClassVar[str] = "pose"
    LEARNS_FROM: ClassVar[Literal["images", "teacher"]] = "images"
    NEEDS_DEPTH: ClassVar[bool] = False
    TAKES_CAMERA: ClassVar[bool] = False
    MEASURES_DEPTH: ClassVar[bool] = False
    TAKES_SCENES: ClassVar[bool] = False
    MEMORISES: ClassVar[bool] = False
    HAS_LATENTS: ClassVar[bool] = False
    HEADS: ClassVar[tuple[str, ...]] = ()
    PRIOR_OPTION: ClassVar[str] = ""
    HAS_CELLS: ClassVar[bool] = False
    SILENT_OPTIONS: ClassVar[tuple[str, ...]] = ()

    image_size: tuple[int, int]
    scenes: int = 1
    backbone: nn.Module | None
    latent_width: int = 0
    has_attention: bool = False
    can_render: bool = False
    converts: bool = True

    @classmethod
    def has_fixed_window(cls, options: Mapping[str, Any]) -> bool:
        """Whether a network with these options has the rays of its cells built in. They are those of the centre window:
        for another window of the image its pose would be wrong by construction."""
        return False

    def forward(self, image_B3HW: torch.Tensor) -> dict[str, torch.Tensor]:
        """The tensors of `OUTPUTS` that the model has, for normalised images (`preprocessing.normalise`); outside of
        training at least those of `ALWAYS`. ``with_attention=True`` is accepted if ``has_attention``."""
        ...

    def convertible(self, image_B3HW: torch.Tensor) -> dict[str, torch.Tensor]:
        """The part of `forward` that another back end can run, outside of training: tensors by name, with the batch as
        first axis."""
        return self.forward(image_B3HW)

    def finished(self, outputs: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """The output of `forward` from those of `convertible`, in torch or NumPy."""
        return outputs

    def start_from(self, position: torch.Tensor, orientation: torch.Tensor) -> None:
        """Make the untrained network of one scene return this pose: position (3,), orientation (4,) w x y z."""

    def start_from_poses(self, poses: Sequence[ScenePoses]) -> None:
        """The same with the training poses of every scene, in the network's order. ValueError if they do not fit."""
        mean = mean_of_stacked(*poses[0])
        self.start_from(torch.from_numpy(mean.position), torch.from_numpy(mean.orientation))

    def earlier_state(self, state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """The tensors of an earlier version of the network in the form that this one loads; unchanged by default."""
        return state

    def open_shapes(self) -> dict[str, tuple[int | range, ...]]:
        """The shapes that those tensors may have in a file whose sizes training decides; none, as a rule."""
        return {}

    def check_loaded(self) -> None:
        """ValueError where numbers that were loaded, of the right shapes as they are, would make `forward` fail."""

    # Where HAS_LATENTS:
    def encode(self, image_B3HW: torch.Tensor, with_attention: bool = False) -> dict[str, torch.Tensor]:
        """The latents of `OUTPUTS`, and what `forward` returns besides the pose."""
        raise TypeError(f"{type(self).__name__} has no latents")

    def regress(self, latents: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """The output of `forward` from what `encode` returns."""
        raise TypeError(f"{type(self).__name__} has no latents")

    # Where MEMORISES:
    def memorise(self, image_B3HW: torch.Tensor, position_B3: torch.Tensor, orientation_B4: torch.Tensor) -> None:
        """Add training images and their poses."""
        raise TypeError(f"{type(self).__name__} does not memorise")

    def forget(self) -> None:
        """Remove all of them."""
        raise TypeError(f"{type(self).__name__} does not memorise")

    # Where HAS_CELLS:
    def cells_seen(self) -> tuple[int, torch.Tensor, torch.Tensor]:
        """Channels of ``cells_map``, the centres (N, 2) of its cells in pixels of the window and their rays (N, 3) with
        z = 1. ValueError without the camera's intrinsics."""
        raise TypeError(f"{type(self).__name__} has no such cells")

    # Where can_render:
    def render(
        self, position_B3: torch.Tensor, orientation_B4: torch.Tensor, scene_B: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Images (B, 3, h, w), RGB from 0 to 1, as expected at poses."""
        raise TypeError(f"{type(self).__name__} cannot render")

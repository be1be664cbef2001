"""Validation of a network: each scene on its held-out frames, and the share of frames whose scene is recognised."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from transposenet_core.evaluation.errors import ErrorSummary, pose_errors, summarise
from transposenet_core.scene_model import LowerPrecision
from transposenet_core.scene_model.parity import FRAMES, MOST_INPUTS, spread
from transposenet_core.training.scene_data import SceneData
from transposenet_core.training.validation import SceneValidation, Validator

MOST_ROUNDED = 50
LEAST = 1e-6  # metres and degrees: an error is never quite 0


def scene_validators_of(data: Sequence[SceneData]) -> SceneValidators:
    """The validators of these scenes, in the network's order."""
    return SceneValidators([each.validator for each in data], [each.scene.name for each in data])


@dataclass(frozen=True)
class Validation:
    """Validation of a network on the held-out frames of all scenes: errors over all of them, the mean of the scenes'
    scores (lower is better), the share of frames whose scene was recognised, and the result of each scene."""

    summary: ErrorSummary
    score: float
    scene_accuracy: float
    scenes: tuple[SceneValidation, ...]

    def to_dict(self, names: Sequence[str]) -> dict:
        """The figures for the provenance, with those of each scene if there are several."""
        figures = self.summary.to_dict()
        if len(self.scenes) > 1:
            figures["scene_accuracy"] = self.scene_accuracy
            figures["scenes"] = {n: v.summary.to_dict() for n, v in zip(names, self.scenes, strict=True)}
        return figures


@dataclass(frozen=True)
class SceneValidators:
    """The validators of all scenes, in the network's order; the mean of their scores is the score."""

    validators: Sequence[Validator]
    names: Sequence[str]

    @property
    def source(self) -> str:
        if len(self.validators) == 1:
            return self.validators[0].source
        return "; ".join(
            f"{validator.source} of {name}" for validator, name in zip(self.validators, self.names, strict=True)
        )

    def parity_images(self) -> torch.Tensor:
        """Windows (P, 3, h, w) uint8 of a few validated frames of the scenes, for `Parity`."""
        each = max(min(FRAMES, MOST_INPUTS // len(self.validators)), 1)
        chosen = [
            validator.preprocessing.crop(validator.pixels.image_N3HW[spread(len(validator.pixels), each)])
            for validator in self.validators[:MOST_INPUTS]
        ]
        return torch.cat([image_P3HW.cpu() for image_P3HW in chosen])

    def in_bfloat16(self, network: Any) -> LowerPrecision:
        """How much the poses of the validated frames, of at most `MOST_ROUNDED` of each scene, change in bfloat16: on
        the CPU, where a processor without it takes ten times as long. The outputs are rounded, too, since a runtime
        calculates all layers in it."""

        def lower(image_B3HW: torch.Tensor) -> dict[str, torch.Tensor]:
            with torch.autocast("cpu", torch.bfloat16):
                outputs = network.convertible(image_B3HW)
            return network.finished({name: whole(value) for name, value in outputs.items()})

        def whole(value: torch.Tensor) -> torch.Tensor:
            return value.bfloat16().float() if value.is_floating_point() else value

        places = [spread(len(validator.pixels), MOST_ROUNDED) for validator in self.validators]
        each = list(zip(self.validators, places, strict=True))
        pairs = [[v.poses(run, some) for v, some in each] for run in (network.eval(), lower)]
        single, lowered = ([pose for poses in found for pose in poses] for found in pairs)
        ground_truth = [validator.ground_truth_poses[k] for validator, some in each for k in some]
        before, after = (summarise(*pose_errors(poses, ground_truth)) for poses in (single, lowered))
        metres_N, degrees_N = pose_errors(lowered, single)
        return LowerPrecision.of(
            after.median_m / max(before.median_m, LEAST) - 1,
            after.median_deg / max(before.median_deg, LEAST) - 1,
            float(np.percentile(metres_N, 95)),
            float(np.percentile(degrees_N, 95)),
        )

    def __call__(self, network: nn.Module) -> Validation:
        each = [validator(network) for validator in self.validators]
        metres_N, degrees_N = (np.concatenate([validation.errors[axis] for validation in each]) for axis in (0, 1))
        right = sum(validation.scene_accuracy * len(validation.errors[0]) for validation in each)
        return Validation(
            summary=summarise(metres_N, degrees_N),
            score=float(np.mean([validation.score for validation in each])),
            scene_accuracy=right / len(metres_N),
            scenes=tuple(each),
        )

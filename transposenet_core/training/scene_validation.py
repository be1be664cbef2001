"""Judging a network of several scenes: each on its own held-out frames, and whether it knows whose they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from torch import nn

from transposenet_core.evaluation.errors import summarise
from transposenet_core.training.scene_data import SceneData
from transposenet_core.training.validation import Judge, Validation


def judge_of(data: Sequence[SceneData]) -> Judge | SceneJudges:
    """Who judges a network of these scenes, in the network's order."""
    if len(data) == 1:
        return data[0].judge
    return SceneJudges([each.judge for each in data], [each.scene.name for each in data])


@dataclass(frozen=True)
class SceneJudges:
    """The judges of all scenes, in the network's order; the mean of their scores is the score."""

    judges: Sequence[Judge]
    names: Sequence[str]

    @property
    def source(self) -> str:
        return "; ".join(f"{judge.source} of {name}" for judge, name in zip(self.judges, self.names, strict=True))

    def __call__(self, network: nn.Module) -> Validation:
        each = [judge(network) for judge in self.judges]
        metres_N, degrees_N = (np.concatenate([validation.errors[axis] for validation in each]) for axis in (0, 1))
        right = sum(validation.scene_accuracy * len(validation.errors[0]) for validation in each)
        return Validation(
            summary=summarise(metres_N, degrees_N),
            score=float(np.mean([validation.score for validation in each])),
            held_out_error=each[0].held_out_error,
            errors=(metres_N, degrees_N),
            scene_accuracy=right / len(metres_N),
            scenes=tuple(each),
        )

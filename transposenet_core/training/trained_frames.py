"""Whether a network has learnt its training frames: what it has not, it cannot know of any other image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from transposenet_core.evaluation.errors import pose_errors, summarise
from transposenet_core.evaluation.verdict import USUAL_STEPS
from transposenet_core.scene_model.parity import spread
from transposenet_core.training.scene_data import SceneData
from transposenet_core.training.scene_validation import SceneValidators, Validation
from transposenet_core.training.validation import Validator

FRAMES = 32  # of each scene
# Scores (sums of two medians, each divided by that of the constant pose, which has 2) above which they are not learnt.
EARLY, FINAL = 2.0, 1.0
LEAST_EPOCHS = 10  # in a shorter training they are looked at only at its end


@dataclass(frozen=True)
class TrainedFrames:
    """A sample of the training frames of all scenes, as they were recorded, and what to call positions' units."""

    validators: SceneValidators
    unit: str

    @classmethod
    def of(cls, data: Sequence[SceneData], unit: str) -> TrainedFrames:
        """Evenly spaced frames of these scenes."""
        validators = []
        for number, each in enumerate(data):
            places = spread(len(each.training), FRAMES)
            device = each.pixels.position_N3.device
            validators.append(
                Validator(
                    each.pixels.chosen(torch.from_numpy(places).to(each.pixels.device), device),
                    each.validator.preprocessing,
                    [each.training[place].pose for place in places],
                    each.validator.constant,
                    "training frames",
                    number,
                )
            )
        return cls(SceneValidators(validators, [each.scene.name for each in data]), unit)

    def __call__(self, network: nn.Module) -> Validation:
        """The errors of the network on them."""
        return self.validators(network)

    def warning(self, found: Validation, epoch: int, epochs: int, steps: int) -> str:
        """One sentence where they are not learnt after `epoch` of `epochs`, of so many `steps` each; '' where they are.

        Few frames make few steps: what to do about it is in the sentence.
        """
        if found.score <= (FINAL if epoch >= epochs else EARLY):
            return ""
        constant = [pose_errors([v.constant] * len(v.pixels), v.ground_truth_poses) for v in self.validators.validators]
        medians = [summarise(*each) for each in constant]
        m, deg = (float(np.mean(each)) for each in zip(*((s.median_m, s.median_deg) for s in medians), strict=True))
        count = sum(len(validator.pixels) for validator in self.validators.validators)
        check, usual = "check images, poses and depth with `transposenet check`", -(-USUAL_STEPS // steps)
        if usual > epochs:
            advice = f"{epochs} epochs are {epochs * steps} steps, a room takes {USUAL_STEPS}: set epochs={usual}"
        else:
            advice = f"train longer (epochs={2 * epochs})" if epoch >= epochs else "if it stays like this, stop"
        advice += f", and {check}"
        return (
            f"the training frames are not learnt after {epoch} of {epochs} epochs: on {count} of them, as recorded, "
            f"the median error is {found.summary.median_m:.3g} {self.unit} / {found.summary.median_deg:.3g} deg, that "
            f"of their mean pose {m:.3g} / {deg:.3g}; {advice}"
        )


def checked_after(epoch: int, epochs: int) -> bool:
    """Whether the training frames are looked at after this epoch: within the first tenth of a stage, and at its end."""
    return epoch == epochs or (epochs >= LEAST_EPOCHS and epoch == epochs // LEAST_EPOCHS)

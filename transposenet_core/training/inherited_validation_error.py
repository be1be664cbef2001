"""The validation error that a training without held-out frames inherits from an earlier model of the scene."""

from __future__ import annotations

from dataclasses import replace

from transposenet_core.errors import UserError
from transposenet_core.scene import Scene
from transposenet_core.scene_model import SceneModel
from transposenet_core.training.validation import NOT_HELD_OUT, InheritedValidationError


def inherited_validation_error(path: str, scene: Scene, held_out: int) -> InheritedValidationError:
    """The error of an earlier model of the scene on its held-out frames. UserError if it has none."""
    if held_out:
        raise UserError(
            f"held_out_error is '{path}', but {held_out} frames are held out here, which give the error; leave "
            "it out, or give a split without val frames and hold_out=false"
        )
    model = SceneModel.load(path)
    known = {each.name: each for each in model.scenes}
    if scene.name not in known:  # its map frame may have another name in a model of several scenes
        raise UserError(
            f"held_out_error is '{path}', a model of {model.title}, but '{scene.name}' is trained here; give one of "
            "the same scene"
        )
    error, calibration = known[scene.name].held_out_error, known[scene.name].calibration
    if NOT_HELD_OUT in error.source:
        raise UserError(
            f"held_out_error is '{path}', which was validated on {error.source}; give a model that was trained with "
            "hold_out=true or val frames"
        )
    return InheritedValidationError(
        replace(error, source=f"{error.source}, by the model of an earlier training"), dict(calibration)
    )

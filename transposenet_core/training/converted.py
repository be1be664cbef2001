"""A scene model from a converted checkpoint: what scenes need besides weights comes from their data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from transposenet_core.checkpoints.reference_checkpoint import Conversion
from transposenet_core.checkpoints.reference_layouts import IMAGE_SIZE
from transposenet_core.errors import UserError
from transposenet_core.evaluation.errors import pose_errors, summarise
from transposenet_core.geometry.pose import mean_pose
from transposenet_core.preprocessing import Preprocessing
from transposenet_core.scene import Scene, unit_name
from transposenet_core.scene_model import SceneModel
from transposenet_core.training.data.pixels import load_pixels
from transposenet_core.training.outcome import mapped_scenes
from transposenet_core.training.scene_validation import SceneValidators
from transposenet_core.training.validation import NOT_HELD_OUT, SceneValidation, Validator

SMALLER_EDGE = 256  # as in the reference, which crops the centre
VALIDATED = 200  # frames per scene: a CPU runs a few per second
PREPROCESSING = Preprocessing(SMALLER_EDGE, IMAGE_SIZE)


def converted_scene_model(conversion: Conversion, scenes: Sequence[Scene]) -> tuple[SceneModel, str]:
    """The scene model of a converted network, and a text with its errors in each scene and whether they are plausible.

    `scenes` are those it was trained on, in its order. Each is validated on its `val` frames, or on some training
    frames if there are none; that error gives the covariance. Images are used as they are, as in the reference: lens
    distortion is not removed. UserError if the number of scenes is not that of the network, one has no training
    frames, an image is unreadable or a pose is not finite.
    """
    known = conversion.options.get("scenes", 1)
    if len(scenes) != known:
        raise UserError(
            f"--data is given {len(scenes)} times, but the checkpoint has {known} scenes; give each of them once, in "
            "the order of its training (by name, in the reference)"
        )
    validators = SceneValidators(
        [validator_of(scene, number, conversion.architecture) for number, scene in enumerate(scenes)],
        [scene.name for scene in scenes],
    )
    validation = validators(conversion.network)
    # The reference learns the labels as they are: its network returns the labelled pose already.
    labelled = [replace(scene, T_pose_camera=None) for scene in scenes]
    model = SceneModel(
        architecture=conversion.architecture,
        options=conversion.options,
        preprocessing=PREPROCESSING,
        network=conversion.network,
        scenes=mapped_scenes(labelled, validation),
        parity_image_P3HW=validators.parity_images(),
        provenance={
            "converted_from": conversion.origin,
            "backbone": conversion.origin,
            "validation": {s.name: v.summary.to_dict() for s, v in zip(scenes, validation.scenes, strict=True)},
        },
    )
    each = zip(scenes, validators.validators, validation.scenes, strict=True)
    return model, "\n".join(summary(scene, validator, its) for scene, validator, its in each)


def validator_of(scene: Scene, number: int, model: str) -> Validator:
    """The validator of scene `number`, with at most VALIDATED frames."""
    training = scene.select("train")
    held_out = [image for image in scene.images if image.split == "val"]
    validated = (held_out or training)[:: -(-len(held_out or training) // VALIDATED)]
    source = f"{len(validated)} held-out frames" if held_out else f"{len(validated)} training frames ({NOT_HELD_OUT})"
    ground_truth_poses, constant = [image.pose for image in validated], mean_pose([image.pose for image in training])
    return Validator(
        load_pixels(validated, PREPROCESSING), PREPROCESSING, ground_truth_poses, constant, source, number, None, model
    )


def summary(scene: Scene, validator: Validator, validation: SceneValidation) -> str:
    """The errors beside those of the mean training pose, with a warning if they are no better."""
    found = validation.summary
    mean = summarise(
        *pose_errors([validator.constant] * len(validator.ground_truth_poses), validator.ground_truth_poses)
    )
    unit = unit_name(scene.units)
    line = (
        f"{scene.name}: median {found.median_m:.3f} {unit} {found.median_deg:.2f} deg on {validator.source}, "
        f"{validation.scene_accuracy:.0%} taken for this scene; the mean pose: {mean.median_m:.3f} {unit} "
        f"{mean.median_deg:.2f} deg"
    )
    if found.median_m >= mean.median_m or found.median_deg >= mean.median_deg:
        line += "\nwarning: no better than the mean pose: another scene's checkpoint, or another number of heads?"
    return line

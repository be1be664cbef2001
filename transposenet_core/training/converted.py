"""A converted checkpoint becomes a scene model: what a scene needs beyond weights comes from its data."""

from __future__ import annotations

from transposenet_core.evaluation import pose_errors, summarise
from transposenet_core.pose import mean_pose, stack
from transposenet_core.preprocessing import Preprocessing
from transposenet_core.reference_checkpoint import IMAGE_SIZE, Conversion
from transposenet_core.scene import Scene
from transposenet_core.scene_model import SceneModel
from transposenet_core.training.outcome import THINNED_POSES
from transposenet_core.training.pixels import load_pixels
from transposenet_core.training.validation import Judge

SMALLER_EDGE = 256  # the reference's, from which it cuts the centre
JUDGED = 200  # frames: on a CPU a few take a second


def converted_scene_model(conversion: Conversion, scene: Scene, threads: int = 2) -> tuple[SceneModel, str]:
    """The scene model of a single scene's network, and in words how good it is here and whether that can be right.

    Judged on `val` frames, or some of the training's where there are none; that error is the covariance. Pictures are
    taken as they are, as the reference does: a lens's distortion stays in. UserError where the scene has no training
    frames, a picture is unreadable or an answer not finite.
    """
    preprocessing = Preprocessing(SMALLER_EDGE, IMAGE_SIZE)
    training = scene.select("train")
    held_out = [image for image in scene.images if image.split == "val"]
    judged = (held_out or training)[:: -(-len(held_out or training) // JUDGED)]
    source = f"{len(judged)} held-out frames" if held_out else f"{len(judged)} training frames (none were held out)"
    truths, constant = [image.pose for image in judged], mean_pose([image.pose for image in training])
    judge = Judge(load_pixels(judged, preprocessing, "pictures", threads), preprocessing, truths, constant, source)
    validation = judge(conversion.network)
    positions_N3, orientations_N4 = stack([image.pose for image in training[:: -(-len(training) // THINNED_POSES)]])
    model = SceneModel(
        name=scene.name,
        map_frame=scene.map_frame,
        architecture=conversion.architecture,
        options=conversion.options,
        preprocessing=preprocessing,
        network=conversion.network,
        held_out_error=validation.held_out_error,
        intrinsics=scene.intrinsics,
        training_positions_N3=positions_N3,
        training_orientations_N4=orientations_N4,
        provenance={
            "converted_from": conversion.origin,
            "backbone": conversion.origin,
            "validation": validation.summary.to_dict(),
        },
    )
    found, mean = validation.summary, summarise(*pose_errors([constant] * len(truths), truths))
    told = (
        f"median {found.median_m:.3f} m {found.median_deg:.2f} deg on {source} of {scene.name}; "
        f"their mean pose: {mean.median_m:.3f} m {mean.median_deg:.2f} deg"
    )
    if found.median_m >= mean.median_m or found.median_deg >= mean.median_deg:
        told += "\nwarning: no better than the mean pose: another scene's checkpoint, or another number of heads?"
    return model, told

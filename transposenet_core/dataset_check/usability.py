"""What data without faults can be used for: to train and to evaluate on, or less, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from transposenet_core.errors import UserError
from transposenet_core.formats.faults import Faults
from transposenet_core.formats.splitting import split_scene
from transposenet_core.geometry.pose import mean_of_stacked, rotation_angle_deg, stack
from transposenet_core.scene import Scene

STILL_M, STILL_DEG = 0.05, 2.0  # a camera that stays closer to its mean pose does not move: a hovering drone, a tripod
STILL_PERCENTILE = 95  # of the frames: somebody carried the camera there


@dataclass(frozen=True)
class Usability:
    """``learnable``: a training can learn poses from the data. ``limits`` says what they lack, "" where nothing."""

    learnable: bool
    limits: str = ""


def usability_of(scene: Scene) -> Usability:
    """By the splits of the scene and by how far its camera moves."""
    training = [image for image in scene.images if image.split == "train"]
    others = "localize the images with a model of the place (transposenet localize)"
    if not training:
        return Usability(False, f"no training frames: choose some with --split, or {others}")
    if len(training) == 1:
        return Usability(False, f"a single training image: record the place with a moving camera, or {others}")
    if still := still_camera(scene):
        return Usability(False, f"{still}: record the place with a moving camera, or {others}")
    if not any(image.split == "test" for image in scene.images):
        return Usability(True, f"no test frames: {_how_to_test(scene)}")
    return Usability(True)


def still_camera(scene: Scene) -> str:
    """That the camera of the training frames does not move, with its figures; "" where it does or units are unknown."""
    poses = [image.pose for image in scene.images if image.split == "train"]
    if len(poses) < 2 or scene.units != "metres":
        return ""
    positions_N3, orientations_N4 = stack(poses)
    mean = mean_of_stacked(positions_N3, orientations_N4)
    metres_N = np.linalg.norm(positions_N3 - np.median(positions_N3, axis=0), axis=1)
    degrees_N = rotation_angle_deg(orientations_N4, np.broadcast_to(mean.orientation, orientations_N4.shape))
    metres, degrees = (float(np.percentile(values, STILL_PERCENTILE)) for values in (metres_N, degrees_N))
    if metres > STILL_M or degrees > STILL_DEG:
        return ""
    return (
        f"the camera does not move ({STILL_PERCENTILE} % of its poses are within {metres:.3f} m and {degrees:.1f} deg)"
    )


def _how_to_test(scene: Scene) -> str:
    try:
        split_scene(scene, "blocks", Faults())
    except UserError:
        return "record another sequence to test on, or name test frames in a CSV file with --split"
    return "use --split blocks throughout (check, train, evaluate), or test on another recording of the place"

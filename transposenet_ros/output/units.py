"""Metres: no other unit is published as poses and transforms of a robot, unless that is asked for."""

from __future__ import annotations

from transposenet_core.errors import UserError
from transposenet_core.estimate import Estimate
from transposenet_core.geometry.pose import Pose
from transposenet_core.scene_model import MappedScene, SceneModel
from transposenet_ros.parameters import OF_THE_ROBOT, Parameters

UNSCALED = "positions are in arbitrary units, not in metres (publish_unscaled)"


def check_units(parameters: Parameters, scene_model: SceneModel) -> None:
    """UserError where the positions of a scene are not metres and the parameters do not say what is to become of them,
    or say it of a scene that is in metres."""
    scale, arbitrary = parameters.scale, [scene.name for scene in scene_model.scenes if scene.units != "metres"]
    if scale and not arbitrary:
        raise UserError(f"parameter 'scale' is {scale:g}, but {scene_model.title} is in metres already; set it to 0.0")
    if scale and len(arbitrary) > 1:
        raise UserError(
            f"parameter 'scale' is {scale:g}, but each of {', '.join(arbitrary)} has a unit of its own; train the "
            "scenes with --scale or --align instead"
        )
    if scale or not arbitrary:
        return
    if not parameters.publish_unscaled:
        raise UserError(
            f"scene {', '.join(arbitrary)} of the model is in arbitrary units, which are not published as metres; set "
            "parameter 'scale' to the metres that a unit has, train again with --scale or --align, or set "
            "'publish_unscaled' to true"
        )
    if parameters.tf_mode in OF_THE_ROBOT or parameters.publish_initialpose != "off":
        raise UserError(
            f"parameter 'publish_unscaled' is true with tf_mode {parameters.tf_mode} and publish_initialpose "
            f"{parameters.publish_initialpose}: the robot's frames are in metres; use tf_mode map_to_camera or none "
            "and publish_initialpose off, or set 'scale'"
        )


def in_metres(estimate: Estimate, scale: float) -> Estimate:
    """The estimate in metres where it is not and the parameter `scale` says how many a unit has, else as it is."""
    return estimate.in_metres(scale) if scale and estimate.units != "metres" else estimate


def shown(scene: MappedScene, scale: float) -> MappedScene:
    """What is shown of a scene beside such estimates."""
    return scene.in_metres(scale) if scale and scene.units != "metres" else scene


def in_scene_units(pose: Pose, scene: MappedScene, scale: float) -> Pose:
    """A pose that was scaled as the network of the scene knows it."""
    return Pose(pose.position / scale, pose.orientation) if scale and scene.units != "metres" else pose


def units_note(parameters: Parameters, scene_model: SceneModel) -> str:
    """What `/diagnostics` says of the units of positions."""
    if all(scene.units == "metres" for scene in scene_model.scenes):
        return "metres"
    return f"metres, {parameters.scale:g} a unit of the scene model" if parameters.scale else UNSCALED

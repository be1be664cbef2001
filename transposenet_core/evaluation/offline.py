"""Offline evaluation: localize a scene's images one after the other and compare the estimates with the ground truth."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from transposenet_core.errors import UserError
from transposenet_core.estimate import Estimate
from transposenet_core.evaluation.baselines import baseline_poses
from transposenet_core.evaluation.frame_origin import origin_in
from transposenet_core.evaluation.offline_result import OTHER_SCENE, OfflineResult
from transposenet_core.geometry.undistortion import Undistorter
from transposenet_core.inspection.reconstruction import has_decoder
from transposenet_core.inspection.reconstruction_error import ReconstructionError
from transposenet_core.localizer import Localizer
from transposenet_core.preprocessing import Preprocessing, read_rectified
from transposenet_core.progress import ProgressBar
from transposenet_core.scene import PosedImage, Scene
from transposenet_core.scene_model import MappedScene, SceneModel


def evaluate_offline(
    localizer: Localizer, scene: Scene, *, select: str = "test", progress: bool = False
) -> OfflineResult:
    """Localize the images of the split `select` ("all": every image) as a robot would, one image at a time.

    The baselines know the images of the split "train". An estimate in the map of another of the model's scenes counts
    as not localized. With `progress` bars go to stderr. UserError where the scene has no image of one of the two
    splits, is not in a model of several scenes, or has an image that cannot be read.
    """
    scene_model = localizer.scene_model
    mapped = find_mapped_scene(scene_model, scene)
    images, training = scene.select(select), scene.select("train")
    read = image_reader(scene, mapped)
    shown = ProgressBar(images, desc="localize", unit="img", disable=not progress)
    estimates = [in_scene(localizer.localize(read(image)), mapped) for image in shown]
    baselines = baseline_poses(images, training, read, progress)
    drawn = None
    if has_decoder(scene_model):
        drawn = ReconstructionError.of(scene_model, images, estimates, training, read, mapped.name, progress)
    return OfflineResult(
        scene=scene.name,
        select=select,
        architecture=scene_model.architecture,
        mapped_scene=mapped,
        images=images,
        estimates=estimates,
        baselines=baselines,
        several_scenes=len(scene_model.scenes) > 1,
        reconstruction=drawn,
        assumed_rate_hz=scene.assumed_rate_hz,
        origin=origin_in(mapped, scene, select),
    )


def image_reader(scene: Scene, mapped: MappedScene) -> Callable[[PosedImage], np.ndarray]:
    """A function that reads an image, (H, W, 3) uint8 RGB, as the model was trained on them: without the lens's
    distortion, if those were undistorted. It raises UserError for a file that is not an image, and for one whose aspect
    ratio is not that of the scene's camera."""
    camera, trained_on = scene.intrinsics, mapped.intrinsics
    if camera and not (trained_on and trained_on.rectified):
        camera = replace(camera, distortion_model="none", distortion=())  # which stays in
    undistorter = Undistorter(camera) if camera else None
    return lambda image: read_rectified(image.path, undistorter)


def find_mapped_scene(scene_model: SceneModel, scene: Scene) -> MappedScene:
    """The model's scene for the data; of several the one with its name. UserError where there is none."""
    for mapped in scene_model.scenes:
        if len(scene_model.scenes) == 1 or mapped.name == scene.name:
            return mapped
    raise UserError(
        f"scene '{scene.name}' ({scene.root}) is not one of the model's, which are {scene_model.title}; "
        "choose one with --name"
    )


def in_scene(estimate: Estimate, mapped: MappedScene) -> Estimate:
    """The estimate, not localized where it is in the map of another scene: it has no pose in this
    one."""
    return estimate if estimate.scene == mapped.name else replace(estimate, localized=False, reason=OTHER_SCENE)


def with_crops(scene_model: SceneModel, crops: int) -> Preprocessing:
    """The model's preprocessing with that many windows per image. UserError where the model does not support them."""
    if crops < 1:
        raise UserError(f"--crops {crops}: must be at least 1 window")
    if crops > 1 and scene_model.network.has_fixed_window(scene_model.options):
        raise UserError(
            f"--crops {crops}: this '{scene_model.architecture}' knows the rays of the centre window alone; "
            "leave it out"
        )
    return replace(scene_model.preprocessing, crops=crops)

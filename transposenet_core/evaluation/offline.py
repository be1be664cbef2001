"""Offline evaluation: localize a scene's images one after the other and set the estimates beside the ground truth."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from tqdm import tqdm

from transposenet_core.errors import UserError
from transposenet_core.estimate import Estimate
from transposenet_core.evaluation.baselines import baseline_poses
from transposenet_core.evaluation.frame_origin import origin_in
from transposenet_core.evaluation.offline_result import OTHER_SCENE, OfflineResult
from transposenet_core.geometry.undistortion import Undistorter
from transposenet_core.image_files import read_image
from transposenet_core.inspection.reconstruction import has_decoder
from transposenet_core.inspection.reconstruction_error import ReconstructionError
from transposenet_core.localizer import Localizer
from transposenet_core.preprocessing import Preprocessing
from transposenet_core.scene import PosedImage, Scene
from transposenet_core.scene_model import MappedScene, SceneModel


def evaluate_offline(
    localizer: Localizer, scene: Scene, *, select: str = "test", progress: bool = False
) -> OfflineResult:
    """Localize the images of the split `select` ("all": every image) as a robot would, one image at a time.

    The baselines know the images of the split "train". An estimate in the map of another of the model's scenes counts
    as not localized. With `progress` bars go to stderr. UserError where the scene has no image of one of the two
    splits, is none of a model of several scenes, or has an image that cannot be read.
    """
    scene_model = localizer.scene_model
    mapped = find_mapped_scene(scene_model, scene)
    images, training = scene.select(select), scene.select("train")
    read = image_reader(scene, mapped)
    shown = tqdm(images, desc="localize", unit="img", disable=not progress)
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
    """A function that reads an image, (H, W, 3) uint8 RGB, as the model learnt such: without the lens's distortion,
    where it was trained on undistorted ones. It raises UserError for what is no image."""
    trained_on = mapped.intrinsics
    if trained_on and trained_on.rectified and scene.intrinsics:
        undistorter = Undistorter(scene.intrinsics)
        return lambda image: undistorter(read_image(image.path))
    return lambda image: read_image(image.path)


def find_mapped_scene(scene_model: SceneModel, scene: Scene) -> MappedScene:
    """What the model knows of a scene; of several the one with its name. UserError where there is none."""
    for mapped in scene_model.scenes:
        if len(scene_model.scenes) == 1 or mapped.name == scene.name:
            return mapped
    raise UserError(
        f"scene '{scene.name}' ({scene.root}) is none of the model's, which are {scene_model.title}; "
        "say which with --name"
    )


def in_scene(estimate: Estimate, mapped: MappedScene) -> Estimate:
    """The estimate, not localized where it is in the map of another scene: it says nothing of where the camera is in
    this one."""
    return estimate if estimate.scene == mapped.name else replace(estimate, localized=False, reason=OTHER_SCENE)


def with_crops(scene_model: SceneModel, crops: int) -> Preprocessing:
    """The model's preprocessing with so many windows an image. UserError where it could not answer for them."""
    if crops < 1:
        raise UserError(f"--crops {crops}: at least 1 window is needed")
    if crops > 1 and scene_model.network.has_fixed_window(scene_model.options):
        raise UserError(
            f"--crops {crops}: this '{scene_model.architecture}' knows the rays of the centre's window alone; "
            "leave it away"
        )
    return replace(scene_model.preprocessing, crops=crops)

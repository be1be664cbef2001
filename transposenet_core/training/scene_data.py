"""One scene for a training: its training frames in memory, and its validation frames."""

from __future__ import annotations

from dataclasses import dataclass, replace

from transposenet_core.cache_folder import cache_folder
from transposenet_core.errors import UserError
from transposenet_core.geometry.intrinsics import Intrinsics
from transposenet_core.geometry.pose import mean_pose
from transposenet_core.geometry.undistortion import Undistorter
from transposenet_core.preprocessing import Preprocessing
from transposenet_core.scene import DepthCamera, PosedImage, Scene, unit_name
from transposenet_core.scene_model import KnownFrames
from transposenet_core.training.config import TrainConfig
from transposenet_core.training.data.depth import FARTHEST, NEAREST, needs_depth, with_depth
from transposenet_core.training.data.label_noise import noisy
from transposenet_core.training.data.pixel_cache import PixelCache
from transposenet_core.training.data.pixels import PosedPixels, load_pixels
from transposenet_core.training.distributed import World
from transposenet_core.training.inherited_validation_error import inherited_validation_error
from transposenet_core.training.memory import names_the_images
from transposenet_core.training.validation import NOT_HELD_OUT, Validator


@dataclass(frozen=True, eq=False)
class SceneData:
    """``scene`` is as the scene model describes it, ``camera`` that of the images as they were recorded.

    A network learns the poses of the colour camera: only ``scene`` has the labels, everything else the camera's poses.
    """

    scene: Scene
    camera: Intrinsics | None
    training: list[PosedImage]
    pixels: PosedPixels
    validator: Validator


def load_scene_data(
    scene: Scene, config: TrainConfig, preprocessing: Preprocessing, world: World, number: int = 0
) -> SceneData:
    """Read the images of a scene, the model's scene `number`. UserError for what a user can fix."""
    KnownFrames.of(scene)  # refuses what could not be saved after the first epoch
    seen = scene.of_the_camera()
    training = noisy(seen.select("train"), config.labels, config.seed)
    depth_camera = scene.depth_camera if needs_depth(config, scene) else None
    if len(training) < world.size:
        raise UserError(f"{world.size} processes cannot share {len(training)} training frames; start fewer")
    held_out = [image for image in seen.images if image.split == "val"]
    inherited_error = (
        inherited_validation_error(config.held_out_error, scene, len(held_out)) if config.held_out_error else None
    )
    validated = held_out or training
    source = f"{len(held_out)} held-out frames" if held_out else f"the training frames ({NOT_HELD_OUT})"
    folder = cache_folder(config.cache_dir)
    cache = PixelCache(folder) if folder else None

    def load(images: list[PosedImage], label: str, depth_camera: DepthCamera | None = None) -> PosedPixels:
        pixels = load_pixels(images, preprocessing, label, config.workers, scene.intrinsics, cache)
        if depth_camera:
            pixels = with_depth(pixels, images, depth_camera, config.workers)
        return pixels.to(world.device)

    with names_the_images(len(training) + len(held_out), config):
        validation_pixels = pixels = load(training, "train images", depth_camera)
        if held_out:
            validation_pixels = load(held_out, "val images")
    if pixels.distances is not None and not (pixels.distances.typical_N > 0).any():
        raise UserError(
            f"scene {scene.name} ({scene.root}): none of the depth images of its training frames has a depth between "
            f"{NEAREST:.2g} and {FARTHEST:.2g} {unit_name(scene.units)}; check them and their metres_per_unit"
        )
    constant = mean_pose([image.pose for image in training])
    ground_truth_poses = [image.pose for image in validated]
    validator = Validator(
        validation_pixels,
        preprocessing,
        ground_truth_poses,
        constant,
        source,
        number,
        inherited_error,
        config.model.name,
    )
    camera = scene.intrinsics
    if camera:  # of the images that the network receives: the node rectifies for a model of rectified images
        scene = replace(scene, intrinsics=Undistorter(camera).rectified)
    return SceneData(scene, camera, training, pixels, validator)

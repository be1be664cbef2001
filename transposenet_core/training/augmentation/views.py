"""Augmentation of training images in batches, on the device (TransPoseNet section 4: crop, then colour jitter).
Instead of the crop the camera may be rotated and translated: see `virtual_rotation` and `view_synthesis`.

All randomness comes from uniform numbers in [0, 1), generated beforehand for the whole batch: the images are the same
on any device and in any number of processes, and a CUDA graph can record the work.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F

from transposenet_core.geometry.intrinsics import Intrinsics
from transposenet_core.geometry.quaternions import rotated
from transposenet_core.preprocessing import Preprocessing, mean_colour, normalise
from transposenet_core.training.augmentation.image_corruptions import blurred, erased, noised
from transposenet_core.training.augmentation.view_completion import completed, completion_sources, motion_between
from transposenet_core.training.augmentation.view_synthesis import MovedViews, moved_views, shown, the_other_way
from transposenet_core.training.augmentation.virtual_rotation import rotated_orientation, rotated_view, sampled_rotation
from transposenet_core.training.config import AugmentationConfig
from transposenet_core.training.data.distances import Distances
from transposenet_core.training.data.pixels import PosedPixels
from transposenet_core.training.data.scene_pixels import ScenePixels

# Top and left of the window, or yaw, pitch and roll; three factors; one; translation along three axes.
VIEW, COLOUR, GAMMA, TRANSLATION = slice(0, 3), slice(3, 6), 6, slice(7, 10)
BLUR, NOISE, ERASING = 10, 11, slice(12, 16)  # strength; strength; two sides and two positions of a rectangle
RECORDED = 16  # whether the view stays as recorded
COMPLETION_SOURCES, COMPLETION = 17, 18  # which other images complete the view; whether they do
RANDOM_NUMBERS = 19  # numbers per image
MOST_TYPICAL, MOST_NEAR = 1.5, 2.0  # limits of a relative step: times the scene's typical, the image's near depth
LUMA = (0.299, 0.587, 0.114)


class Views(NamedTuple):
    """The views of a batch, (B, 3, H, W) float32 as the network takes them, and the poses of their cameras.

    Position (B, 3), orientation (B, 4) w x y z; ``depth_BHW`` in the scene's units, 0 where unknown, None if depth is
    not loaded; ``scene_B`` (B,) the scene of each.
    """

    image_B3HW: torch.Tensor
    position_B3: torch.Tensor
    orientation_B4: torch.Tensor
    depth_BHW: torch.Tensor | None
    scene_B: torch.Tensor


def training_views(
    pixels: ScenePixels,
    index_B: torch.Tensor,
    random_BK: torch.Tensor,
    preprocessing: Preprocessing,
    config: AugmentationConfig,
) -> Views:
    """Images `index_B` of all scenes as the network's input, sorted by scene, each cropped or rotated with its own
    camera (`views_of_scene`)."""
    views = [
        views_of_scene(part, places, random_BK[here], preprocessing, config, scene)
        for scene, (part, places, here) in enumerate(pixels.by_scene(index_B))
        if len(places)
    ]
    if len(views) == 1:
        return views[0]
    depths = [view.depth_BHW for view in views if view.depth_BHW is not None]
    return Views(
        image_B3HW=torch.cat([view.image_B3HW for view in views]),
        position_B3=torch.cat([view.position_B3 for view in views]),
        orientation_B4=torch.cat([view.orientation_B4 for view in views]),
        depth_BHW=torch.cat(depths) if len(depths) == len(views) else None,
        scene_B=torch.cat([view.scene_B for view in views]),
    )


def views_of_scene(
    pixels: PosedPixels,
    index_B: torch.Tensor,
    random_BK: torch.Tensor,
    preprocessing: Preprocessing,
    config: AugmentationConfig,
    scene: int = 0,
) -> Views:
    """Images `index_B` of one scene as the network's input, with the poses of their cameras: the label is rotated
    and translated with the camera."""
    scene_B = torch.full_like(index_B, scene)
    position_B3, orientation_B4, rotation_B4 = pixels.position_N3[index_B], pixels.orientation_N4[index_B], None
    if pixels.depth_NHW is not None:
        views = _moved(pixels, index_B, random_BK, preprocessing, config, scene_B)
    else:
        if config.virtual_rotation.is_on():
            rotation_B4, _ = _motion(random_BK, config, torch.zeros_like(position_B3[:, 0]))
            orientation_B4 = rotated_orientation(orientation_B4, rotation_B4)
        image = augmented(pixels.image_N3HW, index_B, random_BK, preprocessing, config, pixels.camera, rotation_B4)
        views = Views(image, position_B3, orientation_B4, None, scene_B)
    if config.erasing > 0:
        views = views._replace(image_B3HW=erased(views.image_B3HW, config.erasing, random_BK[:, ERASING]))
    return views


def steps(distances: Distances, config: AugmentationConfig) -> torch.Tensor:
    """By how much (N,) the camera of each image is translated along an axis at most, in the scene's units: 0 without
    depth, which decides what a moved camera sees."""
    relative_N = config.relative_translation * torch.minimum(
        distances.typical_N.clamp(max=MOST_TYPICAL * distances.scene), MOST_NEAR * distances.near_N
    )
    return relative_N + config.virtual_translation * (distances.typical_N > 0)


def _motion(
    random_BK: torch.Tensor, config: AugmentationConfig, step_B: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Rotation (B, 4) and translation (B, 3) of the cameras, in their own axes, by up to `step_B` along each; none for
    some (`as_recorded`).

    A moved view is rarely complete, a robot's image is: without these the network would never see one.
    """
    rotation_B4 = sampled_rotation(random_BK[:, VIEW], config.virtual_rotation)
    translation_B3 = (2 * random_BK[:, TRANSLATION] - 1) * step_B[:, None]
    if config.as_recorded > 0:
        moves_B1 = (random_BK[:, RECORDED, None] >= config.as_recorded).float()
        still_4 = F.pad(torch.ones_like(moves_B1), (0, 3))
        rotation_B4, translation_B3 = torch.lerp(still_4, rotation_B4, moves_B1), translation_B3 * moves_B1
    return rotation_B4, translation_B3


def _moved(
    pixels: PosedPixels,
    index_B: torch.Tensor,
    random_BK: torch.Tensor,
    preprocessing: Preprocessing,
    config: AugmentationConfig,
    scene_B: torch.Tensor,
) -> Views:
    """The same with depth: the new view also has depth, and is 0 where neither its own image nor those that complete
    it would show something for both directions of the translation (see `view_synthesis`)."""
    camera, depth_NHW = pixels.camera, pixels.depth_NHW
    distances = pixels.distances
    assert camera is not None and depth_NHW is not None and distances is not None  # checked by `check_depth`
    rotation_B4, translation_B3 = _motion(random_BK, config, steps(distances, config)[index_B])
    old_position_B3, old_B4 = pixels.position_N3[index_B], pixels.orientation_N4[index_B]
    position_B3, mirrored_B3 = (
        old_position_B3 + rotated(old_B4, way_B3[:, None])[:, 0]
        for way_B3 in (translation_B3, the_other_way(translation_B3))
    )
    orientation_B4 = rotated_orientation(old_B4, rotation_B4)
    mean, size = mean_colour(random_BK.device), preprocessing.image_size

    def seen_from(source_B: torch.Tensor) -> tuple[MovedViews, torch.Tensor]:
        depth_BHW, old = depth_NHW[source_B], (pixels.position_N3[source_B], pixels.orientation_N4[source_B])
        image = coloured(pixels.image_N3HW[source_B], random_BK, config).float() - mean
        there, mirrored = (motion_between(*old, place_B3, orientation_B4) for place_B3 in (position_B3, mirrored_B3))
        view = moved_views(image, depth_BHW, *there, camera, size)
        goes = config.translates()  # else both directions are the same
        return view, shown(depth_BHW, *mirrored, camera, size) if goes else view.shown_BHW

    view, also_shown_BHW = seen_from(index_B)
    if config.view_completion > 0:
        which_B = random_BK[:, COMPLETION] < config.view_completion
        poses = pixels.position_N3, pixels.orientation_N4
        middle_B3 = (position_B3 + mirrored_B3) / 2
        for other_B in completion_sources(
            *poses, index_B, middle_B3, orientation_B4, random_BK[:, COMPLETION_SOURCES], distances.scene
        ):
            other, also_BHW = seen_from(other_B)
            view = completed(view, other, which_B)
            also_shown_BHW = also_shown_BHW | (also_BHW & which_B[:, None, None])
    view = view.within(also_shown_BHW)
    return Views(normalise(view.image_BCHW + mean), position_B3, orientation_B4, view.depth_BHW, scene_B)


def augmented(
    image_N3HW: torch.Tensor,
    index_B: torch.Tensor,
    random_BK: torch.Tensor,
    preprocessing: Preprocessing,
    config: AugmentationConfig,
    camera: Intrinsics | None = None,
    rotation_B4: torch.Tensor | None = None,
) -> torch.Tensor:
    """Images `index_B` of the cache (N, 3, h, w) uint8 as the network's input (B, 3, H, W) float32.

    With rotations (quaternions w x y z) the `camera` of the cached images is rotated by them, instead of a random crop.
    What the old image does not show is the mean colour, which is 0 for the network, like the padding of its layers.
    """
    if rotation_B4 is None:
        image = windows(image_N3HW, index_B, *_corners(image_N3HW, random_BK, preprocessing, config))
    else:
        image = image_N3HW[index_B]
    image = coloured(image, random_BK, config)
    if rotation_B4 is not None:
        assert camera is not None  # checked by `for_camera`
        mean = mean_colour(image.device)
        image = rotated_view(image.float() - mean, rotation_B4, camera, preprocessing.image_size) + mean
    return normalise(image)


def coloured(image_B3HW: torch.Tensor, random_BK: torch.Tensor, config: AugmentationConfig) -> torch.Tensor:
    """Colour jitter, gamma, blur and noise, as configured; pixels 0..255."""
    if config.colour_jitter > 0:
        image_B3HW = colour_jitter(image_B3HW, config.colour_jitter, random_BK[:, COLOUR])
    if config.gamma > 0:
        image_B3HW = gamma_jitter(image_B3HW, config.gamma, random_BK[:, GAMMA])
    if config.blur > 0:
        image_B3HW = blurred(image_B3HW, config.blur, random_BK[:, BLUR])
    if config.noise > 0:
        image_B3HW = noised(image_B3HW, config.noise, random_BK[:, NOISE])
    return image_B3HW


def _corners(
    image_N3HW: torch.Tensor, random_BK: torch.Tensor, preprocessing: Preprocessing, config: AugmentationConfig
) -> tuple[torch.Tensor, torch.Tensor, tuple[int, int]]:
    """Tops (B,) and lefts (B,) of windows, and their size."""
    spare = [have - wanted for have, wanted in zip(image_N3HW.shape[-2:], preprocessing.image_size, strict=True)]
    random_B2 = random_BK[:, VIEW][:, :2]
    if config.random_crop:
        tops_B, lefts_B = (((spare[axis] + 1) * random_B2[:, axis]).long() for axis in (0, 1))
    else:
        tops_B, lefts_B = (torch.full_like(random_B2[:, 0], spare[axis] // 2, dtype=torch.long) for axis in (0, 1))
    return tops_B, lefts_B, preprocessing.image_size


def windows(
    image_N3HW: torch.Tensor, index_B: torch.Tensor, tops_B: torch.Tensor, lefts_B: torch.Tensor, size: tuple[int, int]
) -> torch.Tensor:
    """Windows (B, 3, *size) of the images `index_B`. Labels stay as they are, as in the papers."""
    device = index_B.device
    rows_BH = tops_B[:, None] + torch.arange(size[0], device=device)
    columns_BW = lefts_B[:, None] + torch.arange(size[1], device=device)
    images, channels = index_B[:, None, None, None], torch.arange(3, device=device)[:, None, None]
    return image_N3HW[images, channels, rows_BH[:, None, :, None], columns_BW[:, None, None, :]]


def colour_jitter(image_B3HW: torch.Tensor, strength: float, random_B3: torch.Tensor) -> torch.Tensor:
    """Brightness, contrast and saturation of each image times a factor within 1 +- strength; pixels 0..255."""
    image = image_B3HW.to(torch.float32, copy=True)  # changed in place from here on: half the time on a CPU
    low, span = max(0.0, 1 - strength), min(1.0, strength) + strength
    factors = (low + span * random_B3).T[:, :, None, None, None]
    image.mul_(factors[0]).clamp_(0, 255)
    mean = _luma(image).mean((2, 3), keepdim=True)
    image.sub_(mean).mul_(factors[1]).add_(mean).clamp_(0, 255)
    grey = _luma(image)
    return image.sub_(grey).mul_(factors[2]).add_(grey).clamp_(0, 255)


def gamma_jitter(image_B3HW: torch.Tensor, strength: float, random_B: torch.Tensor) -> torch.Tensor:
    """Each image to a power between 1 / (1 + strength) and 1 + strength, as with another exposure; pixels 0..255."""
    exponent_B = (1 + strength) ** (2 * random_B - 1)
    return (image_B3HW.float() / 255).pow_(exponent_B[:, None, None, None]).mul_(255)


def _luma(image_B3HW: torch.Tensor) -> torch.Tensor:
    """Grey (B, 1, H, W). Without a tensor of weights: making one copies from the host, which a graph cannot record."""
    red, green, blue = image_B3HW.unbind(1)
    return (LUMA[0] * red + LUMA[1] * green + LUMA[2] * blue)[:, None]

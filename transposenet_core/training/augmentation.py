"""Augmentation of training pictures in batches, on the device (TransPoseNet section 4: crop, then colour jitter).
In the crop's place the camera may be turned: see `virtual_views`.

All chance comes in as uniform numbers in [0, 1), drawn beforehand for the whole batch: the same pictures come out on
any device, in any number of processes, and a CUDA graph can hold the work.
"""

from __future__ import annotations

import torch

from transposenet_core.preprocessing import Preprocessing, mean_colour, normalise
from transposenet_core.scene import Intrinsics
from transposenet_core.training.config import AugmentationConfig
from transposenet_core.training.pixels import PosedPixels
from transposenet_core.training.virtual_views import sampled_turn, turned_orientation, turned_view

VIEW, COLOUR, GAMMA = slice(0, 3), slice(3, 6), 6  # window's top and left, or yaw, pitch and roll; three factors; one
DRAWS = 7  # numbers per picture
LUMA = (0.299, 0.587, 0.114)


def training_views(
    pixels: PosedPixels,
    index_B: torch.Tensor,
    draws_BK: torch.Tensor,
    preprocessing: Preprocessing,
    config: AugmentationConfig,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Pictures `index_B` as the network's input (B, 3, H, W) float32, with positions (B, 3) and orientations (B, 4) of
    the cameras that see them so: a virtual rotation turns the label as well."""
    orientation_B4, turn_B4 = pixels.orientation_N4[index_B], None
    if config.virtual_rotation.is_on():
        turn_B4 = sampled_turn(draws_BK[:, VIEW], config.virtual_rotation)
        orientation_B4 = turned_orientation(orientation_B4, turn_B4)
    image = augmented(pixels.image_N3HW, index_B, draws_BK, preprocessing, config, pixels.camera, turn_B4)
    return image, pixels.position_N3[index_B], orientation_B4


def augmented(
    image_N3HW: torch.Tensor,
    index_B: torch.Tensor,
    draws_BK: torch.Tensor,
    preprocessing: Preprocessing,
    config: AugmentationConfig,
    camera: Intrinsics | None = None,
    turn_B4: torch.Tensor | None = None,
) -> torch.Tensor:
    """Pictures `index_B` of the cache (N, 3, h, w) uint8 as the network's input (B, 3, H, W) float32.

    With turns (quaternions w x y z) the `camera` of the cached pictures is turned by them, instead of a random crop.
    What the old picture does not show is the mean colour, which is 0 for the network, as the padding of its layers.
    """
    if turn_B4 is None:
        image = windows(image_N3HW, index_B, *_corners(image_N3HW, draws_BK, preprocessing, config))
    else:
        image = image_N3HW[index_B]
    if config.colour_jitter > 0:
        image = colour_jitter(image, config.colour_jitter, draws_BK[:, COLOUR])
    if config.gamma > 0:
        image = gamma_jitter(image, config.gamma, draws_BK[:, GAMMA])
    if turn_B4 is not None:
        assert camera is not None  # `check_camera` has said so before
        mean = mean_colour(image.device)
        image = turned_view(image.float() - mean, turn_B4, camera, preprocessing.image_size) + mean
    return normalise(image)


def _corners(
    image_N3HW: torch.Tensor, draws_BK: torch.Tensor, preprocessing: Preprocessing, config: AugmentationConfig
) -> tuple[torch.Tensor, torch.Tensor, tuple[int, int]]:
    """Tops (B,) and lefts (B,) of windows, and their size."""
    spare = [have - wanted for have, wanted in zip(image_N3HW.shape[-2:], preprocessing.image_size, strict=True)]
    draws_B2 = draws_BK[:, VIEW][:, :2]
    if config.random_crop:
        tops_B, lefts_B = (((spare[axis] + 1) * draws_B2[:, axis]).long() for axis in (0, 1))
    else:
        tops_B, lefts_B = (torch.full_like(draws_B2[:, 0], spare[axis] // 2, dtype=torch.long) for axis in (0, 1))
    return tops_B, lefts_B, preprocessing.image_size


def windows(
    image_N3HW: torch.Tensor, index_B: torch.Tensor, tops_B: torch.Tensor, lefts_B: torch.Tensor, size: tuple[int, int]
) -> torch.Tensor:
    """Windows (B, 3, *size) of the pictures `index_B`. Labels stay as they are, as in the papers' recipe."""
    device = index_B.device
    rows_BH = tops_B[:, None] + torch.arange(size[0], device=device)
    columns_BW = lefts_B[:, None] + torch.arange(size[1], device=device)
    pictures, channels = index_B[:, None, None, None], torch.arange(3, device=device)[:, None, None]
    return image_N3HW[pictures, channels, rows_BH[:, None, :, None], columns_BW[:, None, None, :]]


def colour_jitter(image_B3HW: torch.Tensor, strength: float, draws_B3: torch.Tensor) -> torch.Tensor:
    """Brightness, contrast and saturation of each picture times a factor within 1 +- strength; pixels 0..255."""
    image = image_B3HW.float()
    low, span = max(0.0, 1 - strength), min(1.0, strength) + strength
    factors = (low + span * draws_B3).T[:, :, None, None, None]
    image = (image * factors[0]).clamp(0, 255)
    mean = _luma(image).mean((2, 3), keepdim=True)
    image = (mean + (image - mean) * factors[1]).clamp(0, 255)
    grey = _luma(image)
    return (grey + (image - grey) * factors[2]).clamp(0, 255)


def gamma_jitter(image_B3HW: torch.Tensor, strength: float, draws_B: torch.Tensor) -> torch.Tensor:
    """Each picture to a power between 1 / (1 + strength) and 1 + strength, as another exposure; pixels 0..255."""
    exponent_B = (1 + strength) ** (2 * draws_B - 1)
    return 255 * (image_B3HW.float() / 255) ** exponent_B[:, None, None, None]


def _luma(image_B3HW: torch.Tensor) -> torch.Tensor:
    """Grey (B, 1, H, W). No tensor of weights: one made here would be a copy from the host, which no graph may hold."""
    red, green, blue = image_B3HW.unbind(1)
    return (LUMA[0] * red + LUMA[1] * green + LUMA[2] * blue)[:, None]

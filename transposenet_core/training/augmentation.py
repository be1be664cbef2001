"""Augmentation of training pictures in batches, on the device (TransPoseNet section 4: crop, then colour jitter).

All chance comes in as uniform numbers in [0, 1), drawn beforehand for the whole batch: the same pictures come out on
any device, in any number of processes, and a CUDA graph can hold the work.
"""

from __future__ import annotations

import torch

from transposenet_core.preprocessing import Preprocessing, normalise
from transposenet_core.training.config import AugmentationConfig

DRAWS = 5  # numbers per picture: two for the window, three for the colours
LUMA = (0.299, 0.587, 0.114)


def augmented(
    image_N3HW: torch.Tensor,
    index_B: torch.Tensor,
    draws_BK: torch.Tensor,
    preprocessing: Preprocessing,
    config: AugmentationConfig,
) -> torch.Tensor:
    """Pictures `index_B` of the cache (N, 3, h, w) uint8 as the network's input (B, 3, H, W) float32."""
    spare = [have - wanted for have, wanted in zip(image_N3HW.shape[-2:], preprocessing.image_size, strict=True)]
    if config.random_crop:
        tops_B, lefts_B = (((spare[axis] + 1) * draws_BK[:, axis]).long() for axis in (0, 1))
    else:
        tops_B, lefts_B = (torch.full_like(index_B, spare[axis] // 2) for axis in (0, 1))
    image = windows(image_N3HW, index_B, tops_B, lefts_B, preprocessing.image_size)
    if config.colour_jitter > 0:
        image = colour_jitter(image, config.colour_jitter, draws_BK[:, 2:5])
    return normalise(image)


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


def _luma(image_B3HW: torch.Tensor) -> torch.Tensor:
    """Grey (B, 1, H, W). No tensor of weights: one made here would be a copy from the host, which no graph may hold."""
    red, green, blue = image_B3HW.unbind(1)
    return (LUMA[0] * red + LUMA[1] * green + LUMA[2] * blue)[:, None]

"""Augmentation of training pictures in batches, on the device (TransPoseNet section 4: crop, then colour jitter)."""

from __future__ import annotations

import torch

from transposenet_core.preprocessing import Preprocessing

LUMA = (0.299, 0.587, 0.114)


def random_crop(image_B3HW: torch.Tensor, preprocessing: Preprocessing, generator: torch.Generator) -> torch.Tensor:
    """One window of `image_size` per picture, uniform over the picture. Its label stays, as in the papers' recipe."""
    height, width = preprocessing.image_size
    spare = (image_B3HW.shape[-2] - height, image_B3HW.shape[-1] - width)
    tops, lefts = (torch.randint(0, s + 1, (len(image_B3HW),), generator=generator).tolist() for s in spare)
    windows = [image[:, t : t + height, x : x + width] for image, t, x in zip(image_B3HW, tops, lefts)]
    return torch.stack(windows)


def colour_jitter(image_B3HW: torch.Tensor, strength: float, generator: torch.Generator) -> torch.Tensor:
    """Brightness, contrast and saturation of each picture times a factor within 1 +- strength; pixels 0..255."""
    image = image_B3HW.float()
    low, span = max(0.0, 1 - strength), min(1.0, strength) + strength
    factors = low + span * torch.rand(3, len(image), 1, 1, 1, generator=generator).to(image.device)
    luma = torch.tensor(LUMA, device=image.device).view(1, 3, 1, 1)
    image = (image * factors[0]).clamp(0, 255)
    mean = (image * luma).sum(1, keepdim=True).mean((2, 3), keepdim=True)
    image = (mean + (image - mean) * factors[1]).clamp(0, 255)
    grey = (image * luma).sum(1, keepdim=True)
    return (grey + (image - grey) * factors[2]).clamp(0, 255)

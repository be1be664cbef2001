"""Image corruptions, as by a lens, a sensor or an obstacle: blur, noise, an erased part.

There are no JPEG artefacts: images are compressed at full size, and at the network's size a block of 8 x 8 pixels is
one or two; what remains of its artefacts is blur and noise.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F

SHARPEST = 1e-3  # pixels; below it the neighbours have weight 0


def blurred(image_BCHW: torch.Tensor, strength: float, random_B: torch.Tensor) -> torch.Tensor:
    """Each image blurred by a Gaussian with a standard deviation of 0 to `strength` pixels; a random number of 0
    leaves it unchanged."""
    radius = math.ceil(3 * strength)
    offsets_K = torch.arange(-radius, radius + 1, device=image_BCHW.device)
    sigma_B1 = (strength * random_B[:, None]).clamp(min=SHARPEST)
    weights_BK = torch.exp(-0.5 * (offsets_K / sigma_B1) ** 2)
    weights_BK = weights_BK / weights_BK.sum(dim=1, keepdim=True)
    image_BCHW = image_BCHW.float()
    for axis, padding in ((-1, (radius, radius, 0, 0)), (-2, (0, 0, radius, radius))):
        padded = F.pad(image_BCHW, padding, mode="replicate")
        shifted = padded.unfold(axis, 2 * radius + 1, 1)  # (B, C, H, W, K)
        image_BCHW = (shifted * weights_BK[:, None, None, None]).sum(dim=-1)
    return image_BCHW


def noised(image_BCHW: torch.Tensor, strength: float, random_B: torch.Tensor) -> torch.Tensor:
    """Each image with Gaussian noise of 0 to `strength` grey levels on every pixel and channel; pixels 0..255.

    The noise itself comes from the device's generator, as for dropout: there are too many numbers to transfer.
    """
    image_BCHW = image_BCHW.float()
    level_B111 = strength * random_B[:, None, None, None]
    return (image_BCHW + level_B111 * torch.randn_like(image_BCHW)).clamp(0, 255)


def erased(image_BCHW: torch.Tensor, strength: float, random_B4: torch.Tensor) -> torch.Tensor:
    """Each image with a rectangle of 0 in it, its sides 0 to `strength` of the image's, at any position inside (after
    Zhong et al., "Random erasing data augmentation", 2017). In a normalised image 0 is the mean colour."""
    covered = []
    for side, random_B, place_B in zip(
        image_BCHW.shape[-2:], *(d.unbind(-1) for d in random_B4.split(2, dim=-1)), strict=True
    ):
        length_B1 = side * strength * random_B[:, None]
        first_B1 = (side - length_B1) * place_B[:, None]
        centre_N = torch.arange(side, device=image_BCHW.device) + 0.5
        covered.append((centre_N > first_B1) & (centre_N < first_B1 + length_B1))
    rows_BH, columns_BW = covered
    return image_BCHW.masked_fill((rows_BH[:, :, None] & columns_BW[:, None, :])[:, None], 0.0)

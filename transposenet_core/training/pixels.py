"""The pixels of a scene as one uint8 tensor: decoded and resized once, then never touched by a file again."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from tqdm import tqdm

from transposenet_core.errors import UserError
from transposenet_core.image_files import read_image
from transposenet_core.pose import stack
from transposenet_core.preprocessing import Preprocessing
from transposenet_core.scene import Intrinsics, PosedImage
from transposenet_core.training.virtual_views import resized_camera


@dataclass(frozen=True, eq=False)
class PosedPixels:
    """Pictures (N, 3, h, w) uint8, resized but not cropped, with positions (N, 3) and orientations (N, 4) float32.

    ``camera`` is the pinhole of the resized pictures, where it is known.
    """

    image_N3HW: torch.Tensor
    position_N3: torch.Tensor
    orientation_N4: torch.Tensor
    camera: Intrinsics | None = None

    def __len__(self) -> int:
        return len(self.image_N3HW)

    def to(self, device: torch.device) -> PosedPixels:
        image_N3HW, position_N3 = self.image_N3HW.to(device), self.position_N3.to(device)
        return PosedPixels(image_N3HW, position_N3, self.orientation_N4.to(device), self.camera)


def load_pixels(
    images: Sequence[PosedImage],
    preprocessing: Preprocessing,
    label: str = "pictures",
    threads: int = 2,
    camera: Intrinsics | None = None,
) -> PosedPixels:
    """Read, decode and resize pictures of `camera` in threads (0: none).

    UserError where one is unreadable or of another shape than the first.
    """

    def resized(image: PosedImage) -> torch.Tensor:
        return preprocessing.resize(read_image(image.path))

    with ThreadPoolExecutor(max(threads, 1)) as pool:
        try:
            work = pool.map(resized, images) if threads else map(resized, images)
        except RuntimeError as error:  # "can't start new thread": a container's limit on processes
            raise UserError(f"{threads} threads cannot be started ({error}); try workers=0") from None
        pixels = list(tqdm(work, total=len(images), desc=label, unit="img", leave=False))
    for image, tensor in zip(images, pixels, strict=True):
        if tensor.shape != pixels[0].shape:
            raise UserError(
                f"{image.path}: {tuple(tensor.shape[1:])} pixels after resizing where {images[0].path.name} has "
                f"{tuple(pixels[0].shape[1:])}; all pictures of a scene need one aspect ratio"
            )
    positions_N3, orientations_N4 = stack([image.pose for image in images])
    return PosedPixels(
        torch.stack(pixels),
        torch.from_numpy(positions_N3.astype(np.float32)),
        torch.from_numpy(orientations_N4.astype(np.float32)),
        camera and resized_camera(camera, *pixels[0].shape[1:]),
    )

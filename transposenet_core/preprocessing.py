"""The one way from an image to the network's input, used by training and running alike.

Resizing happens on uint8 on the CPU with antialiasing (what torchvision computes), so an image cached for training and
one that arrives on a robot give bit-identical values.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from transposenet_core import checked
from transposenet_core.errors import UserError
from transposenet_core.geometry.intrinsics import Intrinsics
from transposenet_core.geometry.undistortion import Undistorter
from transposenet_core.image_files import check_sides, read_image
from transposenet_core.limits import MOST_CROPS, MOST_SIDE

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
# Of a window (Full HD), of all windows of an image (PoseNet's 128 of 224 x 224), of a resized image.
MOST_WINDOW_PIXELS, MOST_SEEN_PIXELS, MOST_RESIZED_PIXELS = 2**21, 2**23, 2**26


@dataclass(frozen=True)
class Preprocessing:
    """Resize the smaller edge to `smaller_edge` pixels, then take the centre `image_size` (height, width).

    TransPoseNet section 4: 256, then 224 x 224. ``smaller_edge = height`` with a 4:3 size keeps a 4:3 image whole.
    With ``crops`` above 1 the network sees that many windows, evenly spread over the resized image, instead of the
    centre (PoseNet, section 3.1: 128), and its answers are averaged by `mean_over_views`. ValueError where one is no
    whole number or so large that images would take gigabytes.
    """

    smaller_edge: int = 256
    image_size: tuple[int, int] = (224, 224)
    crops: int = 1

    def __post_init__(self) -> None:
        checked.whole("smaller_edge", self.smaller_edge, 1, MOST_SIDE)
        checked.whole("crops", self.crops, 1, MOST_CROPS)
        object.__setattr__(self, "image_size", checked_window("image_size", self.image_size))
        if (pixels := self.crops * math.prod(self.image_size)) > MOST_SEEN_PIXELS:
            raise ValueError(f"crops is {self.crops}, {pixels} pixels together, at most {MOST_SEEN_PIXELS} are allowed")

    def resize(self, image_HW3: np.ndarray, size: tuple[int, int] | None = None) -> torch.Tensor:
        """(H, W, 3) uint8 RGB to (3, h, w) uint8: `size` (height, width), or at least `image_size`.

        Raises ValueError where the array is no uint8 RGB image, UserError for one that `check_sides` refuses or that
        would be larger than MOST_RESIZED_PIXELS.
        """
        if image_HW3.dtype != np.uint8 or image_HW3.ndim != 3 or image_HW3.shape[2] != 3 or 0 in image_HW3.shape:
            raise ValueError(f"an (H, W, 3) uint8 RGB image is needed, got {image_HW3.dtype} {image_HW3.shape}")
        height, width = image_HW3.shape[:2]
        check_sides(width, height)
        size = size or self._resized(height, width)
        if math.prod(size) > MOST_RESIZED_PIXELS:
            raise UserError(
                f"an image of {width}x{height} pixels becomes {size[1]}x{size[0]} by smaller_edge={self.smaller_edge}, "
                f"at most {MOST_RESIZED_PIXELS} pixels are allowed; crop it, or train with a smaller image.smaller_edge"
            )
        image_13HW = torch.from_numpy(np.ascontiguousarray(image_HW3)).permute(2, 0, 1)[None]
        if size == (height, width):
            return image_13HW[0].clone()
        return F.interpolate(image_13HW, size=size, mode="bilinear", antialias=True, align_corners=False)[0]

    def _resized(self, height: int, width: int) -> tuple[int, int]:
        scale = max(self.smaller_edge / min(height, width), self.image_size[0] / height, self.image_size[1] / width)
        return max(round(height * scale), self.image_size[0]), max(round(width * scale), self.image_size[1])

    def window(self, height: int, width: int) -> tuple[float, float, float, float]:
        """What the network sees of an image of this size, in its pixels: top, left, bottom, right (pixel edges)."""
        resized = self._resized(height, width)
        (top, bottom), (left, right) = (
            ((whole - cut) // 2 * size / whole, ((whole - cut) // 2 + cut) * size / whole)
            for whole, cut, size in zip(resized, self.image_size, (height, width), strict=True)
        )
        return top, left, bottom, right

    def window_camera(self, camera: Intrinsics) -> tuple[float, float, float, float]:
        """fx, fy, cx, cy of what the network sees of the camera's images, in its pixels."""
        top, left, bottom, right = self.window(camera.height, camera.width)
        height, width = self.image_size
        y, x = height / (bottom - top), width / (right - left)
        return camera.fx * x, camera.fy * y, (camera.cx + 0.5 - left) * x - 0.5, (camera.cy + 0.5 - top) * y - 0.5

    def seen(self, image_HW3: np.ndarray) -> np.ndarray:
        """What the network sees of an image (H, W, 3), with ``crops`` the centre of it: (h, w, 3), both uint8 RGB."""
        return self.crop(self.resize(image_HW3)).permute(1, 2, 0).numpy()

    def crop(self, image_XHW: torch.Tensor) -> torch.Tensor:
        """The centre `image_size` of the last two axes."""
        height, width = self.image_size
        top = (image_XHW.shape[-2] - height) // 2
        left = (image_XHW.shape[-1] - width) // 2
        return image_XHW[..., top : top + height, left : left + width]

    def views(self, image_B3HW: torch.Tensor) -> torch.Tensor:
        """What the network sees of resized images: (B * n, 3, h, w), an image's n windows in a row; n is at most
        ``crops``, because an image hardly larger than a window has fewer different windows."""
        if self.crops == 1:
            return self.crop(image_B3HW)
        height, width = self.image_size
        spare = image_B3HW.shape[-2] - height, image_B3HW.shape[-1] - width
        rows, columns = _grid(self.crops, *spare)
        corners = [
            (top, left)
            for top in sorted({round(i * spare[0] / max(rows - 1, 1)) for i in range(rows)})
            for left in sorted({round(i * spare[1] / max(columns - 1, 1)) for i in range(columns)})
        ]
        windows = [image_B3HW[..., top : top + height, left : left + width] for top, left in corners]
        return torch.stack(windows, dim=1).flatten(0, 1)

    def __call__(self, image_HW3: np.ndarray) -> torch.Tensor:
        """(H, W, 3) uint8 RGB to the network's input (1, 3, h, w) float32, or (n, 3, h, w) with ``crops``."""
        seen_B3HW = self.views(self.resize(image_HW3)[None]).numpy()
        # The arithmetic of `normalise`, in this thread: torch would split it among threads that wait actively
        # afterwards and take the cores from those of another runtime.
        mean, std = (moment.numpy() for moment in _moments(torch.device("cpu")))
        normalised_B3HW = seen_B3HW.astype(np.float32)
        normalised_B3HW -= mean
        normalised_B3HW /= std
        return torch.from_numpy(normalised_B3HW)


def read_rectified(path: str | Path, undistorter: Undistorter | None) -> np.ndarray:
    """An image file (H, W, 3) uint8 RGB without its lens's distortion; as it is where there is no `undistorter`.

    UserError as `read_image` and `Undistorter`, with the file's name.
    """
    image_HW3 = read_image(path)
    try:
        return undistorter(image_HW3) if undistorter else image_HW3
    except UserError as error:
        raise UserError(f"{path}: {error}") from None


def checked_window(name: str, size: object) -> tuple[int, int]:
    """(height, width) of a network's window. ValueError where it is none that fits into memory."""
    height, width = (checked.whole(name, side, 1, MOST_SIDE) for side in checked.sequence(name, size, 2, 2))
    if height * width > MOST_WINDOW_PIXELS:
        raise ValueError(f"{name} is {height} x {width}, at most {MOST_WINDOW_PIXELS} pixels are allowed")
    return height, width


def _grid(count: int, spare_height: int, spare_width: int) -> tuple[int, int]:
    """Rows and columns with rows * columns = count, spaced as evenly as that can be along both axes."""
    pairs = [(rows, count // rows) for rows in range(1, count + 1) if count % rows == 0]
    wanted = math.log((spare_height + 1) / (spare_width + 1))
    return min(pairs, key=lambda pair: abs(math.log(pair[0] / pair[1]) - wanted))


def normalise(image_B3HW: torch.Tensor) -> torch.Tensor:
    """uint8 or float pixels 0..255 to float32 with ImageNet's mean and deviation."""
    mean, std = _moments(image_B3HW.device)
    return ((image_B3HW.float() - mean) / std).contiguous(memory_format=torch.channels_last)


def mean_colour(device: torch.device) -> torch.Tensor:
    """The colour (1, 3, 1, 1), 0..255, that `normalise` maps to 0."""
    return _moments(device)[0]


@cache
def _moments(device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """Made once per device: a CUDA graph must not contain a copy from the host."""
    with torch.inference_mode(False):
        mean, std = (torch.tensor(v, device=device).view(1, 3, 1, 1) * 255 for v in (IMAGENET_MEAN, IMAGENET_STD))
        return mean, std

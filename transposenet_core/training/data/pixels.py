"""The pixels of a scene as one uint8 tensor: decoded, rectified and resized once."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from transposenet_core.errors import UserError
from transposenet_core.geometry.intrinsics import Intrinsics, aspect_difference
from transposenet_core.geometry.pose import stack
from transposenet_core.geometry.undistortion import Undistorter
from transposenet_core.preprocessing import Preprocessing, read_rectified
from transposenet_core.progress import ProgressBar
from transposenet_core.scene import PosedImage
from transposenet_core.threads import in_threads
from transposenet_core.training.data.distances import Distances
from transposenet_core.training.data.pixel_cache import PixelCache, Store, digest, entry_key

NO_THREADS = "try workers=0"


@dataclass(frozen=True, eq=False)
class PosedPixels:
    """Images (N, 3, h, w) uint8, resized but not cropped, with positions (N, 3) and orientations (N, 4) float32.

    The images may be a mapped file, so they are never written to. ``camera`` is the pinhole of the resized images,
    where it is known; ``depth_NHW`` (N, h, w) float16 is as `registered_depth` makes it, where it is needed, and
    ``distances`` are those of all of it, by default computed from it.
    """

    image_N3HW: torch.Tensor
    position_N3: torch.Tensor
    orientation_N4: torch.Tensor
    camera: Intrinsics | None = None
    depth_NHW: torch.Tensor | None = None
    distances: Distances | None = None

    def __post_init__(self) -> None:
        if self.depth_NHW is not None and self.distances is None:
            object.__setattr__(self, "distances", Distances.of(self.depth_NHW))

    def __len__(self) -> int:
        return len(self.image_N3HW)

    @property
    def device(self) -> torch.device:
        """The device of the images."""
        return self.image_N3HW.device

    def to(self, device: torch.device) -> PosedPixels:
        """Copied to a device; images that would fill more than half of its free memory stay where they are."""
        image_N3HW = self.image_N3HW
        if device.type != "cuda" or image_N3HW.nbytes < torch.cuda.mem_get_info(device)[0] // 2:
            image_N3HW = image_N3HW.to(device)
        return replace(
            self,
            image_N3HW=image_N3HW,
            position_N3=self.position_N3.to(device),
            orientation_N4=self.orientation_N4.to(device),
            depth_NHW=None if self.depth_NHW is None else self.depth_NHW.to(image_N3HW.device),
            distances=None if self.distances is None else self.distances.to(device),
        )

    def chosen(self, index_B: torch.Tensor, device: torch.device) -> PosedPixels:
        """A selection on a device; `index_B` is on the device of the images."""
        there_B = index_B.to(self.position_N3.device)
        return PosedPixels(
            self.image_N3HW[index_B].to(device, non_blocking=True),
            self.position_N3[there_B].to(device),
            self.orientation_N4[there_B].to(device),
            self.camera,
            None if self.depth_NHW is None else self.depth_NHW[index_B].to(device, non_blocking=True),
            None if self.distances is None else self.distances.chosen(index_B, device),
        )


def load_pixels(
    images: Sequence[PosedImage],
    preprocessing: Preprocessing,
    label: str = "images",
    threads: int = 2,
    camera: Intrinsics | None = None,
    cache: PixelCache | None = None,
) -> PosedPixels:
    """Images of `camera`, mapped from the cache, which is filled first if they are not in it.

    They are read, rectified and resized in threads (0: none). Without a cache, or with a message if it cannot be
    written, they are kept in memory. UserError if one is unreadable or of another aspect ratio than the first.
    """
    undistorter = Undistorter(camera) if camera else None
    source = _Source(images, preprocessing, undistorter)
    with in_threads(threads, NO_THREADS) as each:

        def fill(store: Store) -> None:
            work = each(lambda number: store(number, source.read(number)), range(len(images)))
            for _ in ProgressBar(work, total=len(images), desc=label, unit="img", leave=False):
                pass

        image_N3HW = None
        if cache:
            key = source.key(each(digest, [image.path for image in images]))
            try:
                image_N3HW = cache.get(key, source.shape)
                if image_N3HW is None:
                    image_N3HW = cache.put(key, source.shape, fill)
            except OSError as error:
                why = f"{error.strerror}; free disk space there, or set cache_dir to another folder, or to none"
                print(f"{cache.folder}: images are kept in memory and not cached ({why})", file=sys.stderr)
        if image_N3HW is None:
            image_N3HW = torch.empty(source.shape, dtype=torch.uint8)
            fill(image_N3HW.__setitem__)
    positions_N3, orientations_N4 = stack([image.pose for image in images])
    return PosedPixels(
        image_N3HW,
        torch.from_numpy(positions_N3.astype(np.float32)),
        torch.from_numpy(orientations_N4.astype(np.float32)),
        undistorter.rectified.resized(width=source.shape[3], height=source.shape[2]) if undistorter else None,
    )


class _Source:
    """Decodes, rectifies and resizes images, all to one `shape` (N, 3, h, w), that of the first."""

    def __init__(
        self, images: Sequence[PosedImage], preprocessing: Preprocessing, undistorter: Undistorter | None
    ) -> None:
        self._images, self._preprocessing, self._undistorter = images, preprocessing, undistorter
        first_HW3 = read_rectified(images[0].path, undistorter)
        self._size = first_HW3.shape[1], first_HW3.shape[0]
        _, height, width = self._resized(images[0].path, first_HW3).shape
        self.shape = (len(images), 3, height, width)

    def read(self, number: int) -> torch.Tensor:
        """Image `number` (3, h, w) uint8. UserError where it is unreadable or of another aspect ratio."""
        path = self._images[number].path
        image_HW3 = read_rectified(path, self._undistorter)
        size = image_HW3.shape[1], image_HW3.shape[0]
        if difference := aspect_difference(size, self._size):
            raise UserError(
                f"{path}: {size[0]}x{size[1]} pixels, {self._images[0].path.name} has {self._size[0]}x{self._size[1]}: "
                f"{difference}; all images of a scene need one aspect ratio, leave this one out"
            )
        return self._resized(path, image_HW3, (self.shape[2], self.shape[3]))

    def key(self, digests: Iterable[bytes]) -> str:
        undistorter = self._undistorter
        bent = undistorter.intrinsics if undistorter and undistorter.needed else None
        return entry_key(digests, self._preprocessing, bent)

    def _resized(self, path: Path, image_HW3: np.ndarray, size: tuple[int, int] | None = None) -> torch.Tensor:
        try:
            return self._preprocessing.resize(image_HW3, size)
        except UserError as error:
            raise UserError(f"{path}: {error}") from None

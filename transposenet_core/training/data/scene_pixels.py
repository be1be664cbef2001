"""The images of all scenes as one collection: each scene keeps its size and camera, the window is the same."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch

from transposenet_core.training.data.pixels import PosedPixels


@dataclass(frozen=True, eq=False)
class ScenePixels:
    """The images, scene after scene. An index counts through all of them, so it also identifies the scene."""

    scenes: Sequence[PosedPixels]

    @property
    def counts(self) -> list[int]:
        return [len(pixels) for pixels in self.scenes]

    @property
    def device(self) -> torch.device:
        """The device of the images; the CPU unless all are on another one."""
        devices = {pixels.device for pixels in self.scenes}
        return devices.pop() if len(devices) == 1 else torch.device("cpu")

    def __len__(self) -> int:
        return sum(self.counts)

    def chosen(self, index_B: torch.Tensor, device: torch.device) -> ScenePixels:
        """A selection on a device, sorted by scene: in the order of `sorted_by_scene`."""
        parts = self.by_scene(index_B)
        return ScenePixels([pixels.chosen(places.to(pixels.device), device) for pixels, places, _ in parts])

    def sorted_by_scene(self, index_B: torch.Tensor) -> torch.Tensor:
        """The rows (B,) of `index_B` in the order of `chosen`."""
        return torch.cat([here for _, _, here in self.by_scene(index_B)])

    def by_scene(self, index_B: torch.Tensor) -> Iterator[tuple[PosedPixels, torch.Tensor, torch.Tensor]]:
        """For every scene its images, the indices among them that `index_B` selects, and their rows in `index_B`."""
        if len(self.scenes) == 1:  # no search, which a CUDA graph cannot record
            yield self.scenes[0], index_B, torch.arange(len(index_B), device=index_B.device)
            return
        begin = 0
        for pixels in self.scenes:
            here = ((index_B >= begin) & (index_B < begin + len(pixels))).nonzero()[:, 0]
            yield pixels, index_B[here] - begin, here
            begin += len(pixels)


@dataclass(frozen=True, eq=False)
class SeenPoses:
    """Poses of the images of all scenes, scene after scene: positions (N, 3), orientations (N, 4), scenes (N,) int64,
    and how many each scene has."""

    position_N3: torch.Tensor
    orientation_N4: torch.Tensor
    scene_N: torch.Tensor
    counts: list[int]

    @classmethod
    def of(cls, scenes: Sequence[PosedPixels]) -> SeenPoses:
        numbers = [torch.full_like(each.position_N3[:, 0], n, dtype=torch.int64) for n, each in enumerate(scenes)]
        return cls(
            torch.cat([each.position_N3 for each in scenes]),
            torch.cat([each.orientation_N4 for each in scenes]),
            torch.cat(numbers),
            [len(each) for each in scenes],
        )

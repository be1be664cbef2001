"""How much of each frame has depth, and how far it reaches."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from transposenet_core.mapping.report.depth_points import DepthReader
from transposenet_core.progress import ProgressBar
from transposenet_core.scene import Scene

RANGE_PERCENTILES = (1, 50, 99)


@dataclass(frozen=True)
class FrameDepth:
    """Of one frame: the share of its pixels that have depth, and the 1st, 50th and 99th percentile of that depth in the
    units of the scene (None where no pixel has any)."""

    name: str
    share: float
    nearest: float | None = None
    median: float | None = None
    farthest: float | None = None


@dataclass(frozen=True)
class FrameRange:
    """Frames that follow each other in the recording, by the names of the first and the last."""

    first: str
    last: str
    frames: int

    def __str__(self) -> str:
        return self.first if self.frames == 1 else f"{self.first} to {self.last} ({self.frames})"


def frame_depths(scene: Scene, split: str = "train", progress: bool = True) -> list[FrameDepth]:
    """Of every frame of a split in the order of the scene, also of those without a depth image (share 0).

    UserError where the scene has no depth camera or intrinsics, or a depth image cannot be read.
    """
    reader, facts = DepthReader(scene), []
    frames = [image for image in scene.of_the_camera().images if split in ("all", image.split)]
    for image in ProgressBar(frames, desc="depth facts", unit="img", leave=False, disable=not progress):
        if image.depth_path is None:
            facts.append(FrameDepth(image.name, 0.0))
            continue
        depth_HW = reader.rectified(image)[0]
        known_N = depth_HW[depth_HW > 0]
        if not len(known_N):
            facts.append(FrameDepth(image.name, 0.0))
            continue
        share, reach = len(known_N) / depth_HW.size, np.percentile(known_N, RANGE_PERCENTILES).tolist()
        facts.append(FrameDepth(image.name, share, *reach))
    return facts

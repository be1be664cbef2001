"""The result of an adjustment as a `SparseMap`: frames, lens, and the points that they see."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from transposenet_core.geometry.pose import Pose
from transposenet_core.mapping.adjust.bundle import Observations
from transposenet_core.mapping.adjust.correspondences import Correspondences
from transposenet_core.mapping.adjust.lens import Lens
from transposenet_core.mapping.adjust.structure import Structure
from transposenet_core.mapping.sparse_map import MappedFrame, SparseMap
from transposenet_core.scene import PosedImage


def sparse_map_of(
    images: Sequence[PosedImage],
    poses: Sequence[Pose],
    lens: Lens,
    built: Structure,
    placed_N: np.ndarray,
    found: Correspondences,
) -> tuple[SparseMap, tuple[int, int, float]]:
    """The map of frames with these poses, of which those of `placed_N` (N,) fit the points that they see; and its
    points, observations and mean track length."""
    seen, error_O = built.seen.only(placed_N[built.seen.frame_O]), built.error_O[placed_N[built.seen.frame_O]]
    count_P = np.bincount(seen.point_O, minlength=len(built.point_P3))
    alive_P = count_P >= 2
    index_P = np.cumsum(alive_P) - 1
    use_O = alive_P[seen.point_O]
    seen, error_O = seen.only(use_O), error_O[use_O]
    point_O = index_P[seen.point_O]
    total = int(alive_P.sum())
    mean_P = np.bincount(point_O, error_O, minlength=total) / np.maximum(np.bincount(point_O, minlength=total), 1)
    order = np.argsort(seen.frame_O, kind="stable")
    edges = np.searchsorted(seen.frame_O[order], np.arange(len(images) + 1))
    recorded_pixels = _as_recorded(seen, found)
    frames = []
    for n, image in enumerate(images):
        part = order[edges[n] : edges[n + 1]]
        frames.append(MappedFrame(image, poses[n], point_O[part], recorded_pixels[part]))
    sparse = SparseMap(frames, lens.intrinsics(), built.point_P3[alive_P], mean_P)
    return sparse, (total, len(point_O), len(point_O) / max(total, 1))


def _as_recorded(seen: Observations, found: Correspondences) -> np.ndarray:
    """Pixels (O, 2) of the images as recorded: other ones only where the work was done on rectified images."""
    if all(a is b or np.array_equal(a, b) for a, b in zip(found.pixels, found.working, strict=True)):
        return seen.pixel_O2
    pixel_O2 = seen.pixel_O2.copy()
    order = np.argsort(seen.frame_O, kind="stable")
    edges = np.searchsorted(seen.frame_O[order], np.arange(len(found.pixels) + 1))
    for frame in np.flatnonzero(np.diff(edges)):
        mine = order[edges[frame] : edges[frame + 1]]
        distances = np.abs(found.working[frame][None] - seen.pixel_O2[mine][:, None]).sum(axis=2)
        pixel_O2[mine] = found.pixels[frame][distances.argmin(axis=1)]
    return pixel_O2

"""Depth and confidence of each frame of a sparse map from its neighbours, in two passes over the frames.

The first compares images (plane_sweep.py, semi_global.py) and keeps each frame's raw depth in a work folder; the second
checks each frame's depth against its partners' (consistency.py) and writes what they agree on. Each frame reads a few
others, through caches of fixed size: memory does not grow with the images, and time grows with their number.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np

from transposenet_core.errors import UserError
from transposenet_core.geometry.pose import Pose
from transposenet_core.image_files import image_stem
from transposenet_core.mapping.dense.consistency import DepthView, agreed
from transposenet_core.mapping.dense.depth_files import DepthFiles, key_of, metres_per_unit
from transposenet_core.mapping.dense.depth_range import DepthPlanes
from transposenet_core.mapping.dense.options import DenseOptions
from transposenet_core.mapping.dense.plane_sweep import likeness_at
from transposenet_core.mapping.dense.raw_depth import raw_depth
from transposenet_core.mapping.dense.result import LEAST_SHARE, DenseResult, FrameDepth, warnings_of
from transposenet_core.mapping.dense.sources import NeighbourChoice, Neighbours
from transposenet_core.mapping.dense.working_images import WorkingImages
from transposenet_core.mapping.sparse_map import SparseMap
from transposenet_core.progress import ProgressBar
from transposenet_core.scene import DepthCamera
from transposenet_core.threads import in_threads

NO_THREADS = "set threads to 1"
# Partners whose images have to show a depth that is not the frame's own, in windows of this side, and how well.
SHOWING, SHOWN_WINDOW, LEAST_SHOWN = 4, 5, 0.6
RAW_KEPT = 256  # raw depths in memory, 96 kB each at 160x120


@dataclass(frozen=True, eq=False)
class _Swept:
    """What the first pass found of a frame: ``key`` of its raw depth, "" where it has none."""

    key: str
    neighbours: Neighbours
    near: float = 0.0
    far: float = 0.0
    reason: str = ""


def depth_from_motion(
    sparse: SparseMap,
    out: str | Path,
    options: DenseOptions | None = None,
    work: str | Path | None = None,
    progress: bool = True,
) -> DenseResult:
    """Write NAME.depth.png (16 bits, 0: none, linear) and NAME.confidence.png (8 bits) of each frame below `out`.

    NAME is that of the frame's image without its suffix. The images are those of ``DenseResult.depth_camera``: the
    rectified pinhole of the colour camera at the working size. `work` (default: `out`/.dense) holds what a run that
    was interrupted goes on from, and may be removed after the last run. Depths are in the units of the map.
    UserError where an image cannot be read or two differ in their suffix alone, OSError where the disk is full.
    """
    options = options or DenseOptions()
    _check_names(sparse)
    run = _Run(sparse, Path(out), Path(work) if work else Path(out) / ".dense", options)
    swept = run.over_frames(run.sweep, "depth", progress)
    ranges = [(found.near, found.far) for found in swept if found.key]
    if not ranges:
        frames = [FrameDepth(f.image.name, reason=s.reason) for f, s in zip(sparse.frames, swept, strict=True)]
        return DenseResult(frames, None, warnings_of(frames))
    near, far = float(np.percentile([near for near, _ in ranges], 5)), max(far for _, far in ranges)
    unit = metres_per_unit(near, far)
    frames = run.over_frames(lambda number: run.fuse(number, swept, unit), "agreement", progress)
    camera = DepthCamera(run.images.pinhole, unit, Pose(np.zeros(3), np.array([1.0, 0, 0, 0])))
    return DenseResult(frames, camera, warnings_of(frames))


def _check_names(sparse: SparseMap) -> None:
    """UserError where two frames would have the same files."""
    first: dict[str, str] = {}
    for frame in sparse.frames:
        name, stem = frame.image.name, image_stem(frame.image.name)
        if first.setdefault(stem, name) != name:
            raise UserError(
                f"{frame.image.path}: there is a frame {first[stem]}, too, and both would have the depth image "
                f"{stem}.depth.png; rename one of them, or leave it out"
            )


class _Run:
    """Both passes, frame by frame."""

    def __init__(self, sparse: SparseMap, out: Path, work: Path, options: DenseOptions) -> None:
        self._sparse, self._options = sparse, options
        self.images = WorkingImages(sparse, options.working_pixels)
        self._choice = NeighbourChoice(sparse, self.images.pinhole, options)
        self._files = DepthFiles(out, work)
        self._image_key = lru_cache(maxsize=None)(self.images.key)
        self._raw = lru_cache(maxsize=RAW_KEPT)(self._read_raw)

    def over_frames(self, work: Callable, what: str, progress: bool) -> list:
        """`work` of each frame's number, in order, with a progress bar."""
        count, threads = len(self._sparse.frames), self._options.threads
        with in_threads(threads if threads > 1 else 0, NO_THREADS) as each:
            results = each(work, range(count))
            return list(ProgressBar(results, total=count, desc=what, unit="frame", disable=not progress))

    def sweep(self, number: int) -> _Swept:
        """The first pass: a frame's raw depth, written to the work folder unless it is there."""
        options, mapped = self._options, self._sparse.frames[number]
        neighbours = self._choice.of(number)
        if neighbours.reason:
            return _Swept("", neighbours, reason=neighbours.reason)
        depth_K = self._sparse.depths(mapped)
        planes = DepthPlanes.of_points(depth_K[depth_K > 0], options.planes, options.most_planes)
        near, far = float(planes.depth_D[0]), float(planes.depth_D[-1])
        inputs = [self._inputs(n) for n in (number, *neighbours.sources)]
        key = key_of(options.of_the_sweep(), self.images.pinhole.to_dict(), inputs, near, far)
        if not self._files.has_raw(mapped.image.name, key):
            sources = [self.images.view(n) for n in neighbours.sources]
            raw = raw_depth(self.images.view(number), sources, self.images.pinhole, planes, options.window)
            self._files.write_raw(mapped.image.name, key, raw.depth_HW, raw.sure_HW)
        return _Swept(key, neighbours, near, far)

    def _inputs(self, number: int) -> list:
        return [self._image_key(number), self._sparse.frames[number].T_map_camera.to_dict()]

    def fuse(self, number: int, swept: list[_Swept], unit: float) -> FrameDepth:
        """The second pass: what the partners agree on, written unless it is there."""
        name, found = self._sparse.frames[number].image.name, swept[number]
        if not found.key:
            return FrameDepth(name, reason=found.reason)
        partners = [n for n in found.neighbours.partners if swept[n].key]
        key = key_of(self._options.of_the_votes(), found.key, [swept[n].key for n in partners], unit)
        facts = self._files.record(name, key)
        if facts is None:
            facts = self._fused(number, found, partners, key, unit)
        frame = FrameDepth(**facts)
        if frame.reason:
            return frame
        paths = self._files.depth_path(name), self._files.confidence_path(name)
        return replace(frame, depth_path=paths[0], confidence_path=paths[1])

    def _fused(self, number: int, found: _Swept, partners: list[int], key: str, unit: float) -> dict:
        options, name = self._options, self._sparse.frames[number].image.name
        own = self._raw(number)
        depth_HW, confidence_HW = agreed(
            own,
            [self._raw(n) for n in partners],
            self.images.pinhole,
            options.tolerance,
            options.least_agreeing,
            options.agreeing_share,
            lambda depth_HW: self._looks_right(number, partners, depth_HW),
        )
        depth_HW[~self.images.mask_HW] = 0
        kept_HW, tried_HW = depth_HW > 0, own.depth_HW > 0
        kept, seen = int(np.count_nonzero(kept_HW)), int(np.count_nonzero(self.images.mask_HW))
        share = kept / max(1, seen)
        agreement = int(np.count_nonzero(kept_HW & tried_HW)) / max(1, int(np.count_nonzero(tried_HW)))
        reason = "" if share >= LEAST_SHARE else f"frames agree on the depth of {share:.0%} of its pixels"
        if len(partners) < options.least_agreeing:
            reason = f"only {len(partners)} of the {options.least_agreeing} frames that have to agree see the same"
        parallax_deg, sources = found.neighbours.parallax_deg, len(found.neighbours.sources)
        facts = FrameDepth(
            name, None, None, share, agreement, found.near, found.far, sources, parallax_deg, reason
        ).to_dict()
        self._files.write_depth(name, key, depth_HW, confidence_HW, unit, facts)
        return facts

    def _looks_right(self, number: int, partners: list[int], depth_HW: np.ndarray) -> np.ndarray:
        """Where a frame's image and one of its best partners' show the same at these depths (H, W)."""
        others = [self.images.view(n) for n in partners[:SHOWING]]
        likeness_HW = likeness_at(self.images.view(number), others, self.images.pinhole, depth_HW, SHOWN_WINDOW)
        return likeness_HW > LEAST_SHOWN

    def _read_raw(self, number: int) -> DepthView:
        mapped = self._sparse.frames[number]
        return DepthView(*self._files.read_raw(mapped.image.name), mapped.T_map_camera)

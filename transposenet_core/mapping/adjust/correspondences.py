"""From images to what they show in common: features, pairs and verified matches, each kept in the cache."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

import cv2
import numpy as np

from transposenet_core.atomic_files import write_atomically
from transposenet_core.errors import UserError
from transposenet_core.mapping.adjust import pairs
from transposenet_core.mapping.adjust.bundle import Cameras
from transposenet_core.mapping.adjust.features import Features, features_of
from transposenet_core.mapping.adjust.lens import Lens
from transposenet_core.mapping.adjust.matching import Match, mutual_matches, verified
from transposenet_core.mapping.adjust.tracks import join
from transposenet_core.mapping.adjust.triangulation import triangulate
from transposenet_core.progress import ProgressBar
from transposenet_core.scene import PosedImage
from transposenet_core.threads import in_threads

CHUNK = 1000  # pairs whose matches are one file of the cache
MOST_ROTATED_DEG = 25.0  # by which the images may contradict the recorded rotation between two frames
FEWEST_DEPTHS = 5  # of a frame, for a typical one
SETTINGS = "matches 2"
ADVICE = "set threads to 0"


@dataclass(frozen=True, eq=False)
class Correspondences:
    """``pixels`` are each frame's key points (K, 2) as recorded, ``working`` in the pixels of the lens."""

    pixels: list[np.ndarray]
    working: list[np.ndarray]
    matches: list[Match]
    pairs_tried: int


def find(
    images: Sequence[PosedImage],
    cameras: Cameras,
    lens: Lens,
    cache: Path | None,
    seed: int,
    threads: int,
    progress: bool,
) -> Correspondences:
    """What the images show in common, by pairs along the runs, of predicted overlap and of like appearance.

    UserError where an image cannot be read or has another aspect ratio than its camera.
    """
    cv2.setRNGSeed(seed)
    features = _features(images, lens, cache, threads, progress)
    working = [lens.working_pixels(f.pixel_K2) for f in features]
    rays = [lens.rays(pixel_K2) for pixel_K2 in working]
    match = _Matcher(features, rays, cameras, lens, cache, threads, progress)
    near_M2, step_M = pairs.along_runs(images)
    sure = step_M <= pairs.SURE_STEPS
    matches = match(near_M2[sure])
    depth_N = typical_depths(matches, working, rays, cameras, lens)
    farther_M2 = near_M2[~sure]
    share_M, _ = pairs.overlap(farther_M2, cameras, lens, depth_N)
    farther_M2 = farther_M2[share_M >= pairs.LEAST_OVERLAP]
    taken = set(map(tuple, np.concatenate([near_M2[sure], farther_M2]).tolist()))
    overlapping_M2 = pairs.by_overlap(cameras, lens, depth_N, taken, np.random.default_rng(seed))
    taken |= set(map(tuple, overlapping_M2.tolist()))
    thumbnail_NT = np.array([f.thumbnail_T for f in features])
    travelled_N = pairs.way_travelled(images, cameras)
    alike_M2 = pairs.by_appearance(thumbnail_NT, cameras, depth_N, travelled_N, taken)
    rest_M2 = np.concatenate([farther_M2, overlapping_M2, alike_M2])
    rest_M2 = rest_M2[np.lexsort((rest_M2[:, 1], rest_M2[:, 0]))]
    matches += match(rest_M2)
    pixels = [f.pixel_K2.astype(np.float64) for f in features]
    return Correspondences(pixels, working, matches, int(sure.sum()) + len(rest_M2))


def typical_depths(
    matches: Sequence[Match],
    working: Sequence[np.ndarray],
    rays: Sequence[np.ndarray],
    cameras: Cameras,
    lens: Lens,
) -> np.ndarray:
    """Median depth (N,) of what each frame shows, by the recorded poses; of the whole scene where a frame has none."""
    seen = join(matches, working)
    every = join(matches, rays_as_pixels(rays)) if len(seen.frame_O) else seen
    depth_N = np.full(len(working), np.nan)
    if len(seen.frame_O):
        ray_O3 = _unpacked(every.pixel_O2)
        frame_O = seen.frame_O
        map_O3 = np.einsum("oij,oj->oi", cameras.rotation_N33[frame_O], ray_O3)
        tracks = int(seen.point_O.max()) + 1
        centre_O3 = cameras.position_N3[frame_O]
        point_T3, parallax_T = triangulate(seen.point_O, tracks, centre_O3, map_O3, 10 / lens.focal)
        depth_O = ((point_T3[seen.point_O] - centre_O3) * cameras.rotation_N33[frame_O][:, :, 2]).sum(axis=1)
        good_O = (parallax_T[seen.point_O] > np.radians(1.0)) & (depth_O > 0)
        order = np.flatnonzero(good_O)[np.argsort(frame_O[good_O], kind="stable")]
        edges = np.searchsorted(frame_O[order], np.arange(len(working) + 1))
        for frame in np.flatnonzero(np.diff(edges) >= FEWEST_DEPTHS):
            depth_N[frame] = np.median(depth_O[order[edges[frame] : edges[frame + 1]]])
    away_N3 = cameras.position_N3 - np.median(cameras.position_N3, axis=0)
    usual = float(np.nanmedian(depth_N)) if np.isfinite(depth_N).any() else float(np.linalg.norm(away_N3, axis=1).max())
    return np.where(np.isfinite(depth_N), depth_N, max(usual, 1e-6))


def rays_as_pixels(rays: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Directions (K, 3) as points of the plane z = 1, which tracks carry like pixels."""
    return [ray[:, :2] / np.maximum(ray[:, 2:], 1e-3) for ray in rays]


def _unpacked(plane_O2: np.ndarray) -> np.ndarray:
    ray_O3 = np.column_stack([plane_O2, np.ones(len(plane_O2))])
    return ray_O3 / np.linalg.norm(ray_O3, axis=1, keepdims=True)


def _features(
    images: Sequence[PosedImage], lens: Lens, cache: Path | None, threads: int, progress: bool
) -> list[Features]:
    folder = None if cache is None else cache / "features"
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)

    def one(image: PosedImage) -> Features:
        found = features_of(image.path, folder)
        if (found.width, found.height) != (lens.stated.width, lens.stated.height):
            raise UserError(
                f"{image.path}: the image has {found.width}x{found.height} pixels, the camera "
                f"{lens.stated.width}x{lens.stated.height}; a map is made of images of one size: resize them all alike"
            )
        return found

    with in_threads(threads, ADVICE) as each:
        found = each(one, images)
        return list(ProgressBar(found, total=len(images), desc="features", unit="image", disable=not progress))


class _Matcher:
    """Verified matches of pairs of frames, chunk by chunk."""

    def __init__(
        self,
        features: list[Features],
        rays: list[np.ndarray],
        cameras: Cameras,
        lens: Lens,
        cache: Path | None,
        threads: int,
        progress: bool,
    ) -> None:
        self.features, self.rays, self.cameras, self.lens = features, rays, cameras, lens
        self.threads, self.progress = threads, progress
        self.folder = None if cache is None else cache / "matches"
        if self.folder is not None:
            self.folder.mkdir(parents=True, exist_ok=True)
            digests = [hashlib.sha256(f.descriptor_KD.tobytes() + f.pixel_K2.tobytes()).digest() for f in features]
            self.digests = digests

    def __call__(self, pair_M2: np.ndarray) -> list[Match]:
        found: list[Match] = []
        bar = ProgressBar(total=len(pair_M2), desc="matches", unit="pair", disable=not self.progress)
        with bar, in_threads(self.threads, ADVICE) as each:
            for start in range(0, len(pair_M2), CHUNK):
                found += self._chunk(pair_M2[start : start + CHUNK], each, bar.update)
        return found

    def _chunk(self, pair_M2: np.ndarray, each: Callable, done: Callable) -> list[Match]:
        stored = None if self.folder is None else self.folder / f"{self._key(pair_M2)}.npz"
        if stored is not None and (loaded := _load(stored, len(pair_M2))) is not None:
            done(len(pair_M2))
            return [Match(int(i), int(j), k) for (i, j), k in zip(pair_M2, loaded, strict=True) if len(k)]
        indices = []
        for index_K2 in each(self._pair, pair_M2.tolist()):
            indices.append(index_K2)
            done(1)
        if stored is not None:
            _store(stored, indices)
        return [Match(int(i), int(j), k) for (i, j), k in zip(pair_M2, indices, strict=True) if len(k)]

    def _pair(self, pair: Iterable[int]) -> np.ndarray:
        i, j = pair
        index_K2 = mutual_matches(self.features[i], self.features[j])
        R_j_i = self.cameras.rotation_N33[j].T @ self.cameras.rotation_N33[i]
        rays = self.rays[i][index_K2[:, 0]], self.rays[j][index_K2[:, 1]]
        return verified(index_K2, *rays, self.lens.focal, self.lens.stated.width, (R_j_i, MOST_ROTATED_DEG))

    def _key(self, pair_M2: np.ndarray) -> str:
        digest = hashlib.sha256(SETTINGS.encode() + self.lens.params_Q.tobytes())
        for i, j in pair_M2.tolist():
            digest.update(self.digests[i] + self.digests[j])
            digest.update(np.round(self.cameras.rotation_N33[j].T @ self.cameras.rotation_N33[i], 6).tobytes())
        return digest.hexdigest()[:32]


def _store(path: Path, indices: list[np.ndarray]) -> None:
    with write_atomically(path, sync=False) as temporary, open(temporary, "wb") as file:
        together = np.concatenate([*indices, np.zeros((0, 2), np.int32)]).astype(np.int32)
        np.savez(file, count=np.array([len(k) for k in indices]), index=together)


def _load(path: Path, pairs_stored: int) -> list[np.ndarray] | None:
    """None for a file that is missing or damaged, which is made again."""
    try:
        with np.load(path) as stored:
            count, index = stored["count"], stored["index"]
    except (OSError, ValueError, KeyError, EOFError, BadZipFile):
        return None
    if len(count) != pairs_stored or count.sum() != len(index):
        return None
    return np.split(index, np.cumsum(count)[:-1])

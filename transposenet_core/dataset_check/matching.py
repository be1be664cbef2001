"""The camera's motion from the images alone: matches between frames of a sequence with motion between them.

SIFT (Lowe 2004) with the ratio test both ways, then the essential matrix (Nister 2004) with RANSAC, all by OpenCV.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np

from transposenet_core.dataset_check.lens import Lens
from transposenet_core.errors import UserError
from transposenet_core.geometry.pose import rotation_angle_deg
from transposenet_core.image_files import read_image
from transposenet_core.scene import PosedImage, Scene

PAIRS = 32
MAX_WIDTH = 640
FEATURES = 1200
LOWE_RATIO = 0.8
FEWEST_MATCHES = 40
# Shares of the image's width: with less motion, rotations are hard to tell from noise.
WANTED_FLOW, LEAST_FLOW = 0.06, 0.02
FIRST_ROTATION_DEG, LONGEST_GUESS = 6.0, 32
TRIES = 5
RANSAC_PIXELS = 1.5
FOCAL_PAIRS = 6


@dataclass(frozen=True, eq=False)
class MatchedPair:
    """Two frames and their N matches that one rigid motion explains.

    ``pixels_*_N2`` are in the matched images (at most MAX_WIDTH wide), ``rays_*_N2`` on the plane z = 1 of the
    optical frame. ``R_second_first_33`` and the unit vector ``t_second_first_3`` are the motion seen in the images.
    """

    first: PosedImage
    second: PosedImage
    pixels_first_N2: np.ndarray
    pixels_second_N2: np.ndarray
    rays_first_N2: np.ndarray
    rays_second_N2: np.ndarray
    R_second_first_33: np.ndarray
    t_second_first_3: np.ndarray


@dataclass(frozen=True, eq=False)
class Matches:
    """The pairs of one scene, the lens that their rays were made with, and how many places were tried for a pair."""

    pairs: list[MatchedPair]
    lens: Lens | None
    tried: int

    @property
    def count(self) -> int:
        return sum(len(pair.rays_first_N2) for pair in self.pairs)


@dataclass(frozen=True, eq=False)
class _Candidate:
    """Two frames and their raw matches in pixels."""

    first: PosedImage
    second: PosedImage
    pixels_first_N2: np.ndarray
    pixels_second_N2: np.ndarray
    size: tuple[int, int]

    @property
    def flow(self) -> float:
        """Median motion of the matches as a share of the image's width."""
        moved_N = np.linalg.norm(self.pixels_second_N2 - self.pixels_first_N2, axis=1)
        return float(np.median(moved_N)) / self.size[0] if len(moved_N) else 0.0


def match_neighbours(scene: Scene, count: int = PAIRS) -> Matches:
    """Up to `count` matched pairs spread evenly over the scene; images that cannot be read are skipped.

    The memory is that of a few images, however long the scene is.
    """
    places = [(sequence, k) for sequence in by_sequence(scene) for k in range(len(sequence) - 1)]
    chosen = [places[k] for k in np.unique(np.linspace(0, len(places) - 1, count).astype(int))] if places else []
    features = lru_cache(maxsize=16)(_features)
    found, gap = [], 0
    for n, (sequence, k) in enumerate(chosen):
        gap = gap if n and sequence is chosen[n - 1][0] else _frames_of_a_rotation(sequence, k)
        candidate, gap = _find_pair(sequence, k, gap, features)
        found += [candidate] if candidate is not None else []
    if not found:
        return Matches([], None, len(chosen))
    usual, _ = Counter(candidate.size for candidate in found).most_common(1)[0]
    found = [candidate for candidate in found if candidate.size == usual]  # one lens serves images of one size
    lens = _lens(scene, found)
    pairs = [pair for candidate in found if (pair := _verify(candidate, lens)) is not None]
    return Matches(pairs, lens, len(chosen))


def by_sequence(scene: Scene) -> list[list[PosedImage]]:
    """The scene's images, one list per sequence, in the order of their stamps: split files may mix them."""
    sequences: dict[str, list[PosedImage]] = {}
    for image in scene.images:
        sequences.setdefault(image.sequence, []).append(image)
    return [sorted(images, key=lambda image: image.stamp) for images in sequences.values()]


def _frames_of_a_rotation(sequence: list[PosedImage], start: int) -> int:
    """How many frames the poses need for a clear rotation; only a first guess, because the poses are in doubt."""
    for gap in range(1, min(LONGEST_GUESS, len(sequence) - start)):
        here, there = sequence[start].pose.orientation, sequence[start + gap].pose.orientation
        if rotation_angle_deg(here, there) > FIRST_ROTATION_DEG:
            return gap
    return LONGEST_GUESS // 4


def _find_pair(
    sequence: list[PosedImage], k: int, gap: int, features: Callable[[Path], _Features | None]
) -> tuple[_Candidate | None, int]:
    """The pair that starts at frame `k`, its gap widened until the image moves, then narrowed until it can be matched.

    Also returns the gap to begin with at the next place.
    """
    best, too_small, too_wide = None, 0, len(sequence) - k
    for _ in range(TRIES):
        if too_small + 1 >= too_wide:
            break
        gap = int(np.clip(gap, too_small + 1, too_wide - 1))
        candidate = _match(sequence[k], sequence[k + gap], features)
        if candidate is None:
            too_wide, gap = gap, (too_small + gap) // 2
        elif candidate.flow < WANTED_FLOW:
            best, too_small, gap = candidate, gap, 2 * gap
        else:
            return candidate, max(1, round(gap * max(0.5, 1.3 * WANTED_FLOW / candidate.flow)))
    return (best if best is not None and best.flow >= LEAST_FLOW else None), gap


@dataclass(frozen=True, eq=False)
class _Features:
    """SIFT of one image: where, RootSIFT descriptors (Arandjelovic and Zisserman 2012), the image's (W, H)."""

    pixels_N2: np.ndarray
    descriptors_N128: np.ndarray
    size: tuple[int, int]


def _features(path: Path) -> _Features | None:
    try:
        grey_HW = cv2.cvtColor(read_image(path), cv2.COLOR_RGB2GRAY)
    except UserError:  # listed by name elsewhere in the check
        return None
    if grey_HW.shape[1] > MAX_WIDTH:
        height = round(grey_HW.shape[0] * MAX_WIDTH / grey_HW.shape[1])
        grey_HW = cv2.resize(grey_HW, (MAX_WIDTH, height), interpolation=cv2.INTER_AREA)
    keypoints, descriptors_N128 = cv2.SIFT.create(nfeatures=FEATURES).detectAndCompute(grey_HW, None)
    if descriptors_N128 is None:
        return None
    root_N128 = np.sqrt(descriptors_N128 / np.maximum(descriptors_N128.sum(axis=1, keepdims=True), 1e-6))
    size = (grey_HW.shape[1], grey_HW.shape[0])
    return _Features(np.array(cv2.KeyPoint.convert(keypoints)), root_N128, size)


def _match(first: PosedImage, second: PosedImage, features: Callable[[Path], _Features | None]) -> _Candidate | None:
    """Mutual matches that pass the ratio test; None where they are too few."""
    a, b = features(first.path), features(second.path)
    if a is None or b is None or a.size != b.size or min(len(a.pixels_N2), len(b.pixels_N2)) < FEWEST_MATCHES:
        return None
    likeness_NM = a.descriptors_N128 @ b.descriptors_N128.T
    there_N, back_M = likeness_NM.argmax(axis=1), likeness_NM.argmax(axis=0)
    second_best_N, best_N = np.partition(likeness_NM, -2, axis=1)[:, -2:].T
    # Of unit vectors, distance^2 = 2 - 2 likeness.
    distinct_N = 2 - 2 * best_N < LOWE_RATIO**2 * (2 - 2 * second_best_N)
    kept = np.flatnonzero(distinct_N & (back_M[there_N] == np.arange(len(there_N))))
    if len(kept) < FEWEST_MATCHES:
        return None
    return _Candidate(first, second, a.pixels_N2[kept], b.pixels_N2[there_N[kept]], a.size)


def _lens(scene: Scene, candidates: list[_Candidate]) -> Lens:
    """The scene's camera; where it has none, of many focal lengths the one under which most matches are rigid."""
    size = candidates[0].size
    if scene.intrinsics is not None:
        return Lens.of(scene.intrinsics, size)

    def rigid(lens: Lens) -> int:
        pairs = (_verify(candidate, lens) for candidate in candidates[:: -(-len(candidates) // FOCAL_PAIRS)])
        return sum(len(pair.rays_first_N2) for pair in pairs if pair is not None)

    return max(Lens.guesses(size), key=rigid)


def _verify(candidate: _Candidate, lens: Lens) -> MatchedPair | None:
    """The matches that one rigid motion explains, with that motion; None where they are too few."""
    a_N2, b_N2 = lens.rays(candidate.pixels_first_N2), lens.rays(candidate.pixels_second_N2)
    E, rigid_N1 = cv2.findEssentialMat(
        a_N2, b_N2, np.eye(3), method=cv2.RANSAC, prob=0.999, threshold=RANSAC_PIXELS / lens.focal
    )
    if E is None or E.shape != (3, 3) or rigid_N1.sum() < FEWEST_MATCHES:
        return None
    _, R, t, _ = cv2.recoverPose(E, a_N2, b_N2, np.eye(3), mask=rigid_N1.copy())
    rigid_N = rigid_N1.ravel().astype(bool)
    pixels = candidate.pixels_first_N2[rigid_N], candidate.pixels_second_N2[rigid_N]
    return MatchedPair(candidate.first, candidate.second, *pixels, a_N2[rigid_N], b_N2[rigid_N], R, t.ravel())

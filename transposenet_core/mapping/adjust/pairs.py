"""Which images are worth matching: neighbours in time, images that should overlap, and images that look alike.

A bounded number for each frame, found by trees of neighbours, so that the work grows with the number of frames alone.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.spatial import cKDTree

from transposenet_core.formats.runs import find_runs
from transposenet_core.mapping.adjust.bundle import Cameras
from transposenet_core.mapping.adjust.lens import Lens
from transposenet_core.scene import PosedImage

STEPS = (1, 2, 3, 5, 8, 13, 21)  # along a run; the first three whatever the poses predict
SURE_STEPS = 3
OVERLAPPING = 9  # pairs by predicted overlap for each frame
ALIKE = 3  # pairs by appearance for each frame
CANDIDATES = 60
LEAST_OVERLAP = 0.3
WIDEST_ANGLE_DEG = 45.0  # between two views of the same thing that SIFT still matches
DRIFT = 0.1  # share of the way travelled by which recorded poses may be wrong
RETRIEVAL_DIMENSIONS = 12


def along_runs(images: Sequence[PosedImage]) -> tuple[np.ndarray, np.ndarray]:
    """Pairs (M, 2) of indices, the lower one first, of frames STEPS apart in a run, and how many steps (M,)."""
    pairs, steps = [np.zeros((0, 2), int)], [np.zeros(0, int)]
    for run in find_runs(images):
        for step in STEPS:
            pairs.append(np.column_stack([run[:-step], run[step:]]))
            steps.append(np.full(len(pairs[-1]), step))
    return np.sort(np.concatenate(pairs), axis=1), np.concatenate(steps)


def overlap(pair_M2: np.ndarray, cameras: Cameras, lens: Lens, depth_N: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Which share (M,) of the first image the second one sees, and the angle (M,) in radians under which both look.

    By the points of a grid of the first image at its typical depth ``depth_N``.
    """
    width, height = lens.stated.width, lens.stated.height
    x, y = (np.linspace(0.1, 0.9, 5) * side for side in (width, height))
    ray_G3 = lens.rays(np.stack(np.meshgrid(x, y), -1).reshape(-1, 2))
    ray_G3 = ray_G3 / ray_G3[:, 2:]
    share_M, angle_M = np.zeros(len(pair_M2)), np.zeros(len(pair_M2))
    for start in range(0, len(pair_M2), 20000):
        part = slice(start, start + 20000)
        i, j = pair_M2[part].T
        C_i, C_j = cameras.position_N3[i][:, None], cameras.position_N3[j][:, None]
        point_MG3 = np.einsum("mij,gj->mgi", cameras.rotation_N33[i], ray_G3) * depth_N[i][:, None, None] + C_i
        local_MG3 = np.einsum("mji,mgj->mgi", cameras.rotation_N33[j], point_MG3 - C_j)
        u_MG2 = lens.project(local_MG3.reshape(-1, 3)).reshape(*local_MG3.shape[:2], 2)
        with np.errstate(invalid="ignore"):
            inside = (u_MG2 > 0).all(axis=2) & (u_MG2[..., 0] < width) & (u_MG2[..., 1] < height)
        share_M[part] = inside.mean(axis=1)
        sight_i, sight_j = point_MG3 - C_i, point_MG3 - C_j
        lengths = np.linalg.norm(sight_i, axis=2) * np.linalg.norm(sight_j, axis=2)
        cosine = np.clip((sight_i * sight_j).sum(axis=2) / np.maximum(lengths, 1e-12), -1, 1)
        angle_M[part] = np.median(np.arccos(cosine), axis=1)
    return share_M, angle_M


def by_overlap(
    cameras: Cameras, lens: Lens, depth_N: np.ndarray, taken: set[tuple[int, int]], rng: np.random.Generator
) -> np.ndarray:
    """Pairs (M, 2) that the poses predict to overlap and that are not `taken`: about OVERLAPPING for each frame.

    Of the candidates, those are preferred that no other chosen pair of the frame resembles: neighbours in time of a
    frame that is already chosen say little that is new.
    """
    N = len(depth_N)
    if N < 2:
        return np.zeros((0, 2), int)
    middle_N3 = cameras.position_N3 + depth_N[:, None] * cameras.rotation_N33[:, :, 2]
    scale = float(np.median(depth_N))
    key_N9 = np.hstack([middle_N3 / scale, cameras.position_N3 / scale, cameras.rotation_N33[:, :, 2]])
    # Neighbours in time fill the list of the nearest: as many again are drawn from farther away.
    wide = cKDTree(key_N9).query(key_N9, k=min(8 * CANDIDATES, N))[1][:, 1:]
    nearest = wide[:, :CANDIDATES]
    drawn = wide[:, np.sort(rng.permutation(wide.shape[1])[:CANDIDATES])] if wide.shape[1] else wide
    i = np.repeat(np.arange(N), nearest.shape[1] + drawn.shape[1])
    candidate_M2 = np.unique(np.sort(np.column_stack([i, np.hstack([nearest, drawn]).ravel()]), axis=1), axis=0)
    candidate_M2 = candidate_M2[candidate_M2[:, 0] != candidate_M2[:, 1]]
    share_M, angle_M = overlap(candidate_M2, cameras, lens, depth_N)
    back_M, _ = overlap(candidate_M2[:, ::-1], cameras, lens, depth_N)
    share_M = np.minimum(share_M, back_M)
    fits = (share_M >= LEAST_OVERLAP) & (angle_M <= np.radians(WIDEST_ANGLE_DEG))
    # 15 degrees of parallax are worth most: less says little about depth, more is matched less often.
    worth_M = share_M * (0.3 + np.minimum(angle_M / np.radians(12), 1)) * rng.uniform(0.6, 1, len(share_M))
    order = np.flatnonzero(fits)[np.argsort(-worth_M[fits], kind="stable")]
    return _chosen(candidate_M2[order], N, taken)


def _chosen(pair_M2: np.ndarray, frames: int, taken: set[tuple[int, int]]) -> np.ndarray:
    """The best pairs while either frame has room, no two of a frame's partners within three frames of each other."""
    partners: list[list[int]] = [[] for _ in range(frames)]
    chosen = []
    for i, j in pair_M2.tolist():
        if (i, j) in taken or (len(partners[i]) >= OVERLAPPING and len(partners[j]) >= OVERLAPPING):
            continue
        if any(abs(k - j) <= 3 for k in partners[i]) or any(abs(k - i) <= 3 for k in partners[j]):
            continue
        partners[i].append(j)
        partners[j].append(i)
        chosen.append((i, j))
    return np.array(chosen, int).reshape(-1, 2)


def by_appearance(
    thumbnail_NT: np.ndarray,
    cameras: Cameras,
    depth_N: np.ndarray,
    travelled_N: np.ndarray,
    taken: set[tuple[int, int]],
) -> np.ndarray:
    """Pairs (M, 2) of images that look alike and that are not `taken`: revisits that drifted poses hide.

    Recorded positions may be apart by DRIFT of the way travelled between the frames beside what overlap allows; alike
    places farther away are two places.
    """
    N = len(thumbnail_NT)
    if N < 3:
        return np.zeros((0, 2), int)
    centred = thumbnail_NT - thumbnail_NT.mean(axis=0)
    _, _, axes = np.linalg.svd(centred[:: max(1, N // 500)], full_matrices=False)
    key_ND = centred @ axes[:RETRIEVAL_DIMENSIONS].T
    nearest = cKDTree(key_ND).query(key_ND, k=min(CANDIDATES // 2, N))[1]
    count_N = np.zeros(N, int)
    chosen: dict[tuple[int, int], None] = {}
    for k in range(1, nearest.shape[1]):
        for i, j in enumerate(nearest[:, k]):
            pair = (min(i, int(j)), max(i, int(j)))
            if i == j or count_N[i] >= ALIKE or abs(i - j) <= 3 or pair in taken or pair in chosen:
                continue
            apart = float(np.linalg.norm(cameras.position_N3[i] - cameras.position_N3[j]))
            allowed = depth_N[i] + depth_N[j] + DRIFT * abs(travelled_N[i] - travelled_N[j])
            facing = float(cameras.rotation_N33[i][:, 2] @ cameras.rotation_N33[j][:, 2])
            if apart <= allowed and facing > 0.5:
                count_N[i] += 1
                chosen[pair] = None
    return np.array(list(chosen), int).reshape(-1, 2)


def way_travelled(images: Sequence[PosedImage], cameras: Cameras) -> np.ndarray:
    """How far (N,) the camera had gone at each frame, run after run."""
    travelled_N = np.zeros(len(images))
    before = 0.0
    for run in find_runs(images):
        steps = np.linalg.norm(np.diff(cameras.position_N3[run], axis=0), axis=1)
        travelled_N[run] = before + np.r_[0, np.cumsum(steps)]
        before = float(travelled_N[run[-1]])
    return travelled_N

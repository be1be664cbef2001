"""Tracks: the key points of many images that show one point, joined from the matches of pairs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from transposenet_core.mapping.adjust.bundle import Observations
from transposenet_core.mapping.adjust.matching import Match

LONGEST = 14  # observations of a track that take part: more make the problem dense and the map hardly better


def join(matches: Sequence[Match], pixels: Sequence[np.ndarray]) -> Observations:
    """Every track of two or more frames as a point without a place; its observations, ordered by point, then frame.

    `pixels` are each frame's key points (K, 2) in working pixels.
    """
    starts = np.r_[0, np.cumsum([len(p) for p in pixels])]
    edges = [np.zeros((0, 2), np.int64)]
    edges += [match.index_K2 + np.array([starts[match.first], starts[match.second]]) for match in matches]
    edge_E2 = np.concatenate(edges)
    total = int(starts[-1])
    graph = coo_matrix((np.ones(len(edge_E2), np.int8), tuple(edge_E2.T)), shape=(total, total))
    label_V = connected_components(graph, directed=False)[1]
    frame_V = np.repeat(np.arange(len(pixels)), np.diff(starts))
    used_V = np.flatnonzero(np.bincount(label_V, minlength=1)[label_V] >= 2)
    order = used_V[np.lexsort((frame_V[used_V], label_V[used_V]))]
    point_O = np.unique(label_V[order], return_inverse=True)[1]
    pixel_V2 = np.concatenate([np.asarray(p, np.float64).reshape(-1, 2) for p in pixels]) if total else np.zeros((0, 2))
    return Observations(frame_V[order], point_O, pixel_V2[order])


def once_a_frame(seen: Observations, error_O: np.ndarray) -> np.ndarray:
    """Mask (O,): of several observations of a point in one frame the one with the smallest error."""
    order = np.lexsort((error_O, seen.frame_O, seen.point_O))
    frame, point = seen.frame_O[order], seen.point_O[order]
    first = np.r_[True, (np.diff(frame) != 0) | (np.diff(point) != 0)][: len(order)]
    mask_O = np.zeros(len(order), bool)
    mask_O[order[first]] = True
    return mask_O


def select(seen: Observations, points: int, frames: int, size: tuple[int, int], per_frame: int) -> np.ndarray:
    """Mask (O,) of about `per_frame` observations for each frame: long tracks first, spread over each image.

    Of a track longer than LONGEST, frames evenly spread over it.
    """
    length_P = np.bincount(seen.point_O, minlength=points)
    rank_O = _rank_in_group(seen.point_O)
    # Evenly spread: the observation k of n takes part where floor(k LONGEST / n) steps up.
    n_O = np.maximum(length_P[seen.point_O], 1)
    thin_O = (n_O <= LONGEST) | ((rank_O * LONGEST) // n_O != ((rank_O - 1) * LONGEST) // n_O)
    across, down = 8, 6
    cell_O = (np.clip(seen.pixel_O2[:, 1] * down / size[1], 0, down - 1).astype(int) * across) + np.clip(
        seen.pixel_O2[:, 0] * across / size[0], 0, across - 1
    ).astype(int)
    place_O = seen.frame_O * (across * down) + cell_O
    room = -(-per_frame // (across * down))
    kept_P = _tracks_with_room(seen.point_O[thin_O], place_O[thin_O], seen.frame_O[thin_O], length_P, room, per_frame)
    return thin_O & kept_P[seen.point_O]


def _tracks_with_room(
    point_O: np.ndarray, place_O: np.ndarray, frame_O: np.ndarray, length_P: np.ndarray, room: int, per_frame: int
) -> np.ndarray:
    """Mask (P,): the longest tracks while two of their frames still need points, there or in all."""
    edges = np.searchsorted(point_O, np.arange(len(length_P) + 1))
    in_place = np.zeros(int(place_O.max(initial=0)) + 1, int)
    in_frame = np.zeros(int(frame_O.max(initial=0)) + 1, int)
    kept_P = np.zeros(len(length_P), bool)
    for p in np.argsort(-np.minimum(length_P, LONGEST), kind="stable"):
        part = slice(edges[p], edges[p + 1])
        places, frames = place_O[part], frame_O[part]
        if len(places) < 2:
            continue
        needed = (in_place[places] < room) | (in_frame[frames] < per_frame // 2)
        if needed.sum() >= 2:
            kept_P[p] = True
            in_place[places] += 1
            in_frame[frames] += 1
    return kept_P


def _rank_in_group(group_O: np.ndarray) -> np.ndarray:
    """0, 1, 2 ... within each run of equal values."""
    if not len(group_O):
        return np.zeros(0, int)
    starts = np.r_[0, np.flatnonzero(np.diff(group_O)) + 1]
    return np.arange(len(group_O)) - np.repeat(starts, np.diff(np.r_[starts, len(group_O)]))

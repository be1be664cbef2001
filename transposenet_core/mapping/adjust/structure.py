"""The points that given cameras see, and what of the images agrees with them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from transposenet_core.mapping.adjust.bundle import Cameras, Observations
from transposenet_core.mapping.adjust.lens import Lens
from transposenet_core.mapping.adjust.tracks import once_a_frame
from transposenet_core.mapping.adjust.triangulation import parallax, reprojection_errors, triangulate

LEAST_PARALLAX = np.radians(1.0)  # below this a point's distance is a guess


@dataclass(frozen=True, eq=False)
class Structure:
    """``point_P3`` of all tracks, NaN where the cameras do not fix one; ``seen`` the observations that agree, and their
    reprojection errors ``error_O`` in pixels."""

    point_P3: np.ndarray
    seen: Observations
    error_O: np.ndarray


def build(cameras: Cameras, lens: Lens, tracks: Observations, points: int, limit_px: float) -> Structure:
    """Tracks as points: observations beyond `limit_px` and points without parallax are left out."""
    seen = tracks
    for share in (1.0, 0.5):
        point_P3 = points_of(cameras, lens, seen, points, share * limit_px)
        error_O = errors(cameras, lens, point_P3, seen)
        keep_O = (error_O <= limit_px) & np.isfinite(error_O)
        keep_O[np.flatnonzero(keep_O)] &= once_a_frame(seen.only(keep_O), error_O[keep_O])
        keep_O &= np.bincount(seen.point_O[keep_O], minlength=points)[seen.point_O] >= 2
        seen = seen.only(keep_O)
    point_P3 = points_of(cameras, lens, seen, points, limit_px)
    frame_O, point_O = seen.frame_O, seen.point_O
    centre_O3 = cameras.position_N3[frame_O]
    wide_P = parallax(point_O, points, _map_rays(cameras, lens, seen), point_P3, centre_O3) >= LEAST_PARALLAX
    error_O = errors(cameras, lens, point_P3, seen)
    keep_O = wide_P[point_O] & (error_O <= limit_px)
    keep_O &= np.bincount(point_O[keep_O], minlength=points)[point_O] >= 2
    kept_P = np.bincount(point_O[keep_O], minlength=points) > 0
    return Structure(np.where(kept_P[:, None], point_P3, np.nan), seen.only(keep_O), error_O[keep_O])


def errors(cameras: Cameras, lens: Lens, point_P3: np.ndarray, seen: Observations) -> np.ndarray:
    """Reprojection errors (O,) in pixels; infinite behind a camera and for points without a place."""
    C_O3, R_O33 = cameras.position_N3[seen.frame_O], cameras.rotation_N33[seen.frame_O]
    return reprojection_errors(lens, point_P3[seen.point_O], C_O3, R_O33, seen.pixel_O2)


def points_of(cameras: Cameras, lens: Lens, seen: Observations, points: int, limit_px: float) -> np.ndarray:
    """Points (points, 3) of tracks; from a third of `limit_px` on an observation counts less."""
    ray_O3 = _map_rays(cameras, lens, seen)
    sigma = limit_px / 3 / lens.focal
    return triangulate(seen.point_O, points, cameras.position_N3[seen.frame_O], ray_O3, sigma)[0]


def _map_rays(cameras: Cameras, lens: Lens, seen: Observations) -> np.ndarray:
    return np.einsum("oij,oj->oi", cameras.rotation_N33[seen.frame_O], lens.rays(seen.pixel_O2))

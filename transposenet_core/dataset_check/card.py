"""The card of a scene: what to know of a data set before training on it, as figures."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass

import numpy as np
from scipy.spatial import cKDTree

from transposenet_core.dataset_check.image_check import ImageCounts
from transposenet_core.dataset_check.leakage import Leakage
from transposenet_core.dataset_check.tracks import Tracks
from transposenet_core.geometry.pose import rotation_angle_deg
from transposenet_core.geometry.vertical import Vertical
from transposenet_core.scene import SPLITS, Scene

SECTORS = 12
SEEN_SHARE = 0.01
AWAY_SECONDS = 10.0
PLACE_SHARE, PLACE_LIMITS_M = 0.1, (0.25, 2.0)  # edge of a place: of the scene's longer side
TINY = 1e-9  # edge of a place where a camera of unknown units never moves


@dataclass(frozen=True)
class Spread:
    """Median, 95th percentile and largest of some figures; all None where there are none."""

    median: float | None
    p95: float | None
    largest: float | None

    @classmethod
    def of(cls, values_N: np.ndarray) -> Spread:
        known = values_N[np.isfinite(values_N)]
        return cls(*np.percentile(known, [50, 95, 100]).tolist()) if len(known) else cls(None, None, None)


NONE = Spread(None, None, None)


@dataclass(frozen=True)
class Distance:
    """From the frames of a split to the training frame whose camera was nearest: metres, and degrees to that one."""

    metres: Spread
    degrees: Spread


@dataclass(frozen=True)
class Directions:
    """Training views by azimuth: share of them in each of twelve sectors of 30 degrees from -180 degrees on;
    elevation's 5th, 50th and 95th percentile; `unseen` is split -> share of its views in sectors that training lacks.
    """

    sector_shares: list[float]
    elevations_deg: list[float]
    unseen: dict[str, float]

    @property
    def sectors_seen(self) -> int:
        return sum(share >= SEEN_SHARE for share in self.sector_shares)


@dataclass(frozen=True)
class Card:
    """Metres (or what ``units`` says), seconds, degrees throughout. `extent_m` is along the two level axes, `heights_m`
    the lowest, median and highest camera; `revisited` is the share of frames at places that were come back to (10 s
    away or another run). Where images carry no time, `duration_s`, `rate_hz` and what is per second are None."""

    scene: str
    units: str
    frames: dict[str, int]
    sequences: dict[str, dict[str, int]]
    runs: int
    extent_m: tuple[float, float]
    heights_m: tuple[float, float, float]
    up: str
    up_found: str
    path_m: float
    duration_s: float | None
    rate_hz: float | None
    speeds_m_s: Spread
    rotations_deg_s: Spread
    steps_m_frame: Spread
    rotations_deg_frame: Spread
    revisited: float
    place_m: float
    directions: Directions
    distances: dict[str, Distance]
    leakage: dict[str, Leakage]
    intrinsics: dict | None
    depth: bool
    image_counts: ImageCounts | None

    def to_dict(self) -> dict:
        return asdict(self)


def make_card(
    scene: Scene, tracks: Tracks, vertical: Vertical, leakage: dict[str, Leakage], image_counts: ImageCounts | None
) -> Card:
    """The card of a scene with at least one frame; `image_counts` is None where only the labels were checked."""
    sequences: dict[str, Counter] = {}
    for image in scene.images:
        sequences.setdefault(image.sequence, Counter())[image.split] += 1
    level_N2, heights_N = vertical.level(tracks.positions_N3), vertical.height(tracks.positions_N3)
    extent = np.ptp(level_N2, axis=0)
    periods = [tracks.period(run) for run in tracks.runs if tracks.period(run) > 0]
    timed, steps, place_m = scene.assumed_rate_hz is None, tracks.steps, float(PLACE_SHARE * extent.max())
    if scene.units == "metres":
        place_m = float(np.clip(place_m, *PLACE_LIMITS_M))
    counts = Counter(tracks.splits_N.tolist())
    return Card(
        scene=scene.name,
        units=scene.units,
        frames={split: counts[split] for split in SPLITS},
        sequences={name: dict(found) for name, found in sequences.items()},
        runs=len(tracks.runs),
        extent_m=(float(extent[0]), float(extent[1])),
        heights_m=(float(heights_N.min()), float(np.median(heights_N)), float(heights_N.max())),
        up=vertical.names[2],
        up_found=vertical.reason,
        path_m=float(steps.metres_M.sum()),
        duration_s=float(sum(np.ptp(tracks.stamps_N[run]) for run in tracks.runs)) if timed else None,
        rate_hz=float(1 / np.median(periods)) if periods and timed else None,
        speeds_m_s=Spread.of(steps.speeds_M) if timed else NONE,
        rotations_deg_s=Spread.of(steps.rotations_M) if timed else NONE,
        steps_m_frame=Spread.of(steps.metres_per_frame_M),
        rotations_deg_frame=Spread.of(steps.degrees_per_frame_M),
        revisited=share_revisited(tracks, place_m),
        place_m=place_m,
        directions=view_directions(tracks, vertical),
        distances={split: distance_from_training(tracks, split) for split in leakage if counts["train"]},
        leakage=leakage,
        intrinsics=None if scene.intrinsics is None else scene.intrinsics.to_dict(),
        depth=scene.depth_camera is not None,
        image_counts=image_counts,
    )


def distance_from_training(tracks: Tracks, split: str) -> Distance:
    """How far the frames of `split` are from the training frames: the error of copying the nearest pose."""
    training, evaluated = tracks.of("train"), tracks.of(split)
    metres_M, nearest_M = cKDTree(tracks.positions_N3[training]).query(tracks.positions_N3[evaluated])
    degrees_M = rotation_angle_deg(tracks.orientations_N4[evaluated], tracks.orientations_N4[training[nearest_M]])
    return Distance(Spread.of(metres_M), Spread.of(degrees_M))


def share_revisited(tracks: Tracks, place_m: float) -> float:
    """Share of frames at places (cubes of `place_m`) that the camera left for 10 s, or visited in another run."""
    cells_N3 = np.floor((tracks.positions_N3 - tracks.positions_N3.min(axis=0)) / max(place_m, TINY)).astype(np.int64)
    _, place_N = np.unique(cells_N3, axis=0, return_inverse=True)
    place_N = place_N.ravel()
    run_N = np.zeros(len(tracks), int)
    for number, run in enumerate(tracks.runs):
        run_N[run] = number
    order = np.lexsort((tracks.stamps_N, run_N, place_N))
    same_place = np.diff(place_N[order]) == 0
    away = (np.diff(tracks.stamps_N[order]) > AWAY_SECONDS) | (np.diff(run_N[order]) != 0)
    revisited = np.unique(place_N[order][1:][same_place & away])
    return float(np.isin(place_N, revisited).mean())


def view_directions(tracks: Tracks, vertical: Vertical) -> Directions:
    """The view directions of training; of all views where no split is `train`."""
    azimuth_N, elevation_N = vertical.azimuth_elevation_deg(tracks.directions_N3)
    sector_N = np.minimum((azimuth_N + 180) // (360 / SECTORS), SECTORS - 1).astype(int)
    training = tracks.of("train")
    chosen = training if len(training) else np.arange(len(tracks))
    shares = np.bincount(sector_N[chosen], minlength=SECTORS) / len(chosen)
    unseen = {
        split: float((shares[sector_N[tracks.of(split)]] < SEEN_SHARE).mean())
        for split in ("val", "test")
        if len(tracks.of(split))
    }
    return Directions(shares.tolist(), np.percentile(elevation_N[chosen], [5, 50, 95]).tolist(), unseen)

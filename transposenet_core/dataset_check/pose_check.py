"""Poses that cannot be right (fault matrix, T2): faults that only the whole track shows.

Numbers that are not a pose (NaN, a reflection, wrong columns) are found by the adapters, row by row.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from transposenet_core.dataset_check.tracks import Tracks
from transposenet_core.formats.faults import Faults
from transposenet_core.formats.numbers import stamp_unit
from transposenet_core.scene import unit_name

# A leap is longer than 5 m (in arbitrary units: a quarter of the scene) and more than four times as fast as its run is
# for three quarters of the time: at 2 Hz a walker makes 0.8 m a frame and a car 8 m; the wrong rows of Cambridge
# Landmarks leap 6 to 80 m, its right ones 4.7 m.
LEAP_M, LEAP_SHARE = 5.0, 0.25
LEAP_SPEEDS = 4.0
FEWEST_STEPS = 8  # of a run that is checked against its own speed
OFF_TRACK_SHARE, OFF_TRACK_FRAMES = 0.05, 5  # so few frames between two leaps count as wrong
STILL_M, STILL_DEG = 1e-6, 1e-4
STUCK_SECONDS = 1.0
FAST_M_S, FAST_DEG_S = 50.0, 90.0
FAR_M = 1e5  # float32, in which networks calculate, resolves 1 cm there


def check_poses(tracks: Tracks, faults: Faults) -> None:
    """Refuses duplicate stamps, leaps and tracks that never move; remarks on stuck poses, odd units and far origins."""
    if len(tracks) > 1 and _never_moves(tracks):
        for image in tracks.images:
            faults.refuse(image.name, f"its pose is that of all {len(tracks)} images; the poses were lost")
        return
    _check_stamps(tracks, faults)
    _check_leaps(tracks, faults)
    _check_stuck(tracks, faults)
    _check_scale(tracks, faults)


def _never_moves(tracks: Tracks) -> bool:
    still = np.ptp(tracks.positions_N3, axis=0).max() < STILL_M
    return bool(still and np.ptp(tracks.orientations_N4, axis=0).max() < 1e-6)


def _check_stamps(tracks: Tracks, faults: Faults) -> None:
    for run in tracks.runs:
        stamps = tracks.stamps_N[run]
        if len(run) > 1 and stamps[0] == stamps[-1]:
            first = tracks.images[run[0]].name
            faults.remark(
                first, f"the {len(run)} frames from here on have no time: speeds, leaps and guard gaps are not checked"
            )
            continue
        if tracks.assumed_rate_hz is None and (unit := stamp_unit(period := tracks.period(run))):
            what = f"frames are {period:.3g} s apart: are the stamps in {unit}? Then nothing in seconds is right"
            faults.remark(tracks.images[run[0]].name, f"{what}; write them in the unit that the format has")
        for before, after in pairwise(run):
            if tracks.stamps_N[before] == tracks.stamps_N[after]:
                stamp = f"{tracks.stamps_N[after]:.6f} s"
                faults.refuse(
                    tracks.images[after].name, f"duplicate stamp {stamp}, also of {tracks.images[before].name}"
                )


def _check_leaps(tracks: Tracks, faults: Faults) -> None:
    """Few frames between two leaps are named one by one, a leap between long stretches by the frame after it."""
    known = tracks.steps.speeds_M[np.isfinite(tracks.steps.speeds_M)]
    unit = unit_name(tracks.units)
    everywhere = float(np.percentile(known, 75)) if len(known) else np.inf
    for run in tracks.runs:
        seconds = np.diff(tracks.stamps_N[run])
        speeds = np.linalg.norm(np.diff(tracks.positions_N3[run], axis=0), axis=1)[seconds > 0] / seconds[seconds > 0]
        limit = LEAP_SPEEDS * (float(np.percentile(speeds, 75)) if len(speeds) >= FEWEST_STEPS else everywhere)
        leaps = _leap_from(tracks, run[:-1], run[1:], limit)
        stretches = [run[a:b] for a, b in pairwise([0, *(np.flatnonzero(leaps) + 1).tolist(), len(run)])]
        track = _track_of(tracks, stretches, max(OFF_TRACK_FRAMES, OFF_TRACK_SHARE * len(run)), limit)
        on_track = np.concatenate(track)
        for index in np.setdiff1d(run, on_track):
            nearest = on_track[np.argmin(np.abs(tracks.stamps_N[on_track] - tracks.stamps_N[index]))]
            name = tracks.images[nearest].name
            faults.refuse(tracks.images[index].name, f"lies {_metres(tracks, index, nearest):.3g} {unit} off {name}")
        for before, after in pairwise(track):
            if _leap_from(tracks, before[-1:], after[:1], limit)[0]:
                what = f"leaps {_metres(tracks, after[0], before[-1]):.3g} {unit} from {tracks.images[before[-1]].name}"
                faults.refuse(tracks.images[after[0]].name, f"{what} and goes on there; cut the sequence in two")


def _track_of(tracks: Tracks, stretches: list[np.ndarray], few: float, limit_m_s: float) -> list[np.ndarray]:
    """The stretches of the camera's path: the longest, all long ones, and short ones without a leap to those."""
    middle = max(range(len(stretches)), key=lambda place: len(stretches[place]))
    track = [stretches[middle]]
    for stretch in stretches[middle + 1 :]:
        if len(stretch) > few or not _leap_from(tracks, track[-1][-1:], stretch[:1], limit_m_s)[0]:
            track.append(stretch)
    for stretch in reversed(stretches[:middle]):
        if len(stretch) > few or not _leap_from(tracks, stretch[-1:], track[0][:1], limit_m_s)[0]:
            track.insert(0, stretch)
    return track


def _leap_from(tracks: Tracks, before_M: np.ndarray, after_M: np.ndarray, limit_m_s: float) -> np.ndarray:
    """Whether each step is longer and faster than a camera can go (M,); false where frames have one time."""
    metres = np.linalg.norm(tracks.positions_N3[after_M] - tracks.positions_N3[before_M], axis=1)
    seconds = tracks.stamps_N[after_M] - tracks.stamps_N[before_M]
    return (metres > leap_length(tracks)) & (seconds > 0) & (metres > limit_m_s * seconds)


def leap_length(tracks: Tracks) -> float:
    """How far a camera must go from one frame to the next for a leap, in the scene's units."""
    if tracks.units == "metres":
        return LEAP_M
    low_3, high_3 = np.percentile(tracks.positions_N3, (5, 95), axis=0)  # wrong rows are no part of the scene
    return LEAP_SHARE * float(np.linalg.norm(high_3 - low_3))


def _metres(tracks: Tracks, a: int, b: int) -> float:
    return float(np.linalg.norm(tracks.positions_N3[a] - tracks.positions_N3[b]))


def _check_stuck(tracks: Tracks, faults: Faults) -> None:
    """A pose that repeats to the last digit: tracking was lost, or frames were written faster than poses came."""
    steps = tracks.steps
    still = (steps.metres_M < STILL_M) & (steps.degrees_M < STILL_DEG) & (steps.seconds_M > 0)
    start: int | None = None
    for place in range(len(still) + 1):
        going = place < len(still) and still[place]
        if start is not None and (not going or steps.before_M[place] != steps.after_M[place - 1]):
            first, last = steps.before_M[start], steps.after_M[place - 1]
            seconds, frames = tracks.stamps_N[last] - tracks.stamps_N[first], place - start + 1
            if seconds >= STUCK_SECONDS and frames > 2:
                long = f"{frames} frames" if tracks.assumed_rate_hz else f"{seconds:.1f} s ({frames} frames)"
                faults.remark(tracks.images[first].name, f"the pose stays the same to the last digit for {long}")
            start = None
        if going and start is None:
            start = place


def _check_scale(tracks: Tracks, faults: Faults) -> None:
    """Speeds of images with a time and positions in metres; of others nothing is known that could be odd."""
    timed, metric = tracks.assumed_rate_hz is None, tracks.units == "metres"
    speeds = tracks.steps.speeds_M[np.isfinite(tracks.steps.speeds_M)]
    if timed and metric and len(speeds) and np.median(speeds) > FAST_M_S:
        speed = f"{np.median(speeds):.3g} m/s"
        faults.remark("poses", f"the camera moves at {speed}, half of the time faster: check units and frame rate")
    rotations = tracks.steps.rotations_M[np.isfinite(tracks.steps.rotations_M)]
    if timed and len(rotations) and np.median(rotations) > FAST_DEG_S:
        rotation = f"{np.median(rotations):.0f} deg/s"
        faults.remark("poses", f"the camera rotates at {rotation}, half of the time faster: check the frame rate")
    farthest = float(np.linalg.norm(np.median(tracks.positions_N3, axis=0)))
    if metric and farthest > FAR_M:
        faults.remark(
            "poses", f"the scene is {farthest:.3g} m from the map's origin: move the origin, float32 is too coarse"
        )

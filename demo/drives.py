"""Drives through the room: training drives along the lanes of a patrol, and one test drive between the lanes.

The camera stands on a small robot, can be panned, and looks towards +x of the map within `MAX_YAW_DEG`. Training
covers every lane with many headings; the test drive runs between them, so it needs interpolation.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.interpolate import PchipInterpolator
from scipy.ndimage import gaussian_filter1d
from scipy.spatial.transform import Rotation

from transposenet_core.geometry.pose import Pose, rotation_angle_deg, stack

CAMERA_HEIGHT = 0.6
MAX_YAW_DEG = 55.0
PATROL_X = (0.95, 3.05)
LANES_Y = 1.36 + 0.38 * np.arange(7)
LEVEL_OPTICAL_33 = np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])
TILT_UP_DEG = 4.0


@dataclass(frozen=True, eq=False)
class Drive:
    """Poses `T_map_camera` at a fixed rate in hertz; `number` seeds light and sensor; split is train or test."""

    number: int
    split: str
    rate: float
    poses: list[Pose]


def training_drives() -> list[Drive]:
    """Eight drives over all lanes, 250 views each; between them order, direction and pan differ."""
    return [_training_drive(number) for number in range(1, 9)]


def test_drive() -> Drive:
    """Ten seconds at 30 Hz: along one gap between lanes, over two lanes, back along another gap."""
    gap_a, gap_b = (LANES_Y[:-1] + LANES_Y[1:])[[1, 3]] / 2
    corners = [(1.15, gap_a), (1.7, gap_a), (2.35, gap_a), (2.75, (gap_a + gap_b) / 2)]
    corners += [(2.45, gap_b), (1.9, gap_b), (1.2, gap_b)]
    times = np.arange(300) / 30.0
    path = _along(np.array(corners), times / times[-1])
    yaw = 46 * np.sin(2 * np.pi * times / 6.7 - 0.9) + 6 * np.sin(2 * np.pi * times / 2.9)
    return Drive(9, "test", 30.0, _poses(path, yaw, times, np.random.default_rng(909)))


def _training_drive(number: int) -> Drive:
    rng = np.random.default_rng(700 + number)
    order = LANES_Y if number % 2 else LANES_Y[::-1]
    start, end = PATROL_X if number % 4 < 2 else PATROL_X[::-1]
    corners = []
    for k, y in enumerate(order):
        first, last = (start, end) if k % 2 == 0 else (end, start)
        corners += [(x, y + rng.uniform(-0.03, 0.03)) for x in np.linspace(first, last, 5)]
    count, rate = 250, 7.0
    times = np.arange(count) / rate
    path = _along(np.array(corners), times / times[-1])
    period = 5.3 + 0.37 * number
    swing = np.arcsin(0.97 * np.sin(2 * np.pi * (times / period + number / 8))) / np.arcsin(0.97)
    wobble = 4 * np.sin(2 * np.pi * times / 3.1 + number)
    return Drive(number, "train", rate, _poses(path, (MAX_YAW_DEG - 4) * swing + wobble, times, rng))


def _along(corners_K2: np.ndarray, fraction_N: np.ndarray) -> np.ndarray:
    """Points (N, 2) at fractions of the length of a polyline with rounded corners; the ends are slower."""
    length = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(corners_K2, axis=0), axis=1))])
    dense = np.linspace(0, length[-1], 2000)
    line = PchipInterpolator(length, corners_K2)(dense)
    line = gaussian_filter1d(line, 0.06 / (dense[1] - dense[0]), axis=0, mode="nearest")
    travelled = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(line, axis=0), axis=1))])
    eased = fraction_N - 0.1 * np.sin(2 * np.pi * fraction_N) / (2 * np.pi)
    return np.stack([np.interp(eased * travelled[-1], travelled, line[:, k]) for k in range(2)], axis=1)


def _poses(path_N2: np.ndarray, yaw_deg_N: np.ndarray, times_N: np.ndarray, rng: np.random.Generator) -> list[Pose]:
    """Camera poses above a path: the robot's vibration moves height by 2 cm, roll and pitch by 1.5 degrees at most."""
    roll, pitch, lift = (_vibration(times_N, rng) for _ in range(3))
    yaw = np.clip(yaw_deg_N, -MAX_YAW_DEG, MAX_YAW_DEG)
    # Intrinsic yaw about the map's z, then pitch about the robot's left, then roll about its heading.
    rotation = Rotation.from_euler("ZYX", np.stack([yaw, 1.5 * pitch - TILT_UP_DEG, 1.5 * roll], axis=1), degrees=True)
    orientations = (rotation * Rotation.from_matrix(LEVEL_OPTICAL_33)).as_quat(scalar_first=True)
    positions = np.column_stack([path_N2, CAMERA_HEIGHT + 0.02 * lift])
    return [Pose(p, q) for p, q in zip(positions, orientations, strict=True)]


def _vibration(times_N: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A sum of slow and quick swings within -1..1."""
    periods, phases = rng.uniform([3.0, 1.1, 0.5], [6.0, 2.0, 0.9]), rng.uniform(0, 2 * np.pi, 3)
    swings = np.sin(2 * np.pi * times_N[:, None] / periods + phases)
    return swings @ np.array([0.5, 0.3, 0.2])


def novelty(test_poses: list[Pose], train_poses: list[Pose], verbose: bool = True) -> tuple[float, float]:
    """How new the test views are: median over them of the distance to the nearest training view.

    Returns metres by position alone, and the median of min over training views of max(metres / 0.15, degrees / 8):
    1 or more means that half of the test views have no training view within both 0.15 m and 8 degrees.
    """
    test_p, test_q = stack(test_poses)
    train_p, train_q = stack(train_poses)
    metres = np.linalg.norm(test_p[:, None] - train_p[None], axis=-1)
    degrees = rotation_angle_deg(test_q[:, None], train_q[None])
    by_position = float(np.median(metres.min(axis=1)))
    by_both = float(np.median(np.maximum(metres / 0.15, degrees / 8.0).min(axis=1)))
    if verbose:
        print(f"nearest training view by position: median {by_position:.3f} m (at least 0.15 m)")
        print(f"nearest by max(metres / 0.15, degrees / 8): median {by_both:.2f} (at least 1)")
    return by_position, by_both

"""Scenes without images: generated poses, for checks of labels only."""

from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from transposenet_core.geometry.pose import Pose
from transposenet_core.scene import PosedImage, Scene

LEVEL = Rotation.from_matrix([[1, 0, 0], [0, 0, 1], [0, -1, 0]])  # z up, looks along y


def made_track(
    positions_N3: np.ndarray,
    rate_hz: float = 30.0,
    splits: list[str] | None = None,
    rotations: Rotation | None = None,
    stamps_N: np.ndarray | None = None,
    sequence: str = "seq-01",
) -> Scene:
    """A scene of one sequence; the camera is level and looks along the map's y unless `rotations` are given."""
    count = len(positions_N3)
    quaternions = (rotations or Rotation.concatenate([LEVEL] * count)).as_quat(scalar_first=True)
    stamps = np.arange(count) / rate_hz if stamps_N is None else stamps_N
    images = [
        PosedImage(
            f"{sequence}/frame-{index:06d}.png",
            Path(f"/nowhere/{sequence}/frame-{index:06d}.png"),
            Pose(positions_N3[index], quaternions[index]),
            splits[index] if splits else "train",
            sequence,
            float(stamps[index]),
        )
        for index in range(count)
    ]
    return Scene("made", images)


def walk(count: int, metres_per_frame: float = 0.05) -> np.ndarray:
    """Positions (count, 3) along a wavy path, at a constant height of 1.5 m."""
    along = np.arange(count) * metres_per_frame
    return np.column_stack([along, 0.3 * np.sin(along), np.full(count, 1.5)])

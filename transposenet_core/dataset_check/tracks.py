"""The poses of a scene as arrays, and the runs in which they were taken: which every other check uses."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.spatial.transform import Rotation

from transposenet_core.formats.runs import find_runs, frame_period
from transposenet_core.geometry.pose import rotation_angle_deg, stack
from transposenet_core.scene import Scene


@dataclass(frozen=True, eq=False)
class Steps:
    """From each frame of a run to the next: indices (M,) into the scene, metres (or what units the scene has), degrees
    and seconds between them, and the same in frame times of the run (NaN where it carries no time)."""

    before_M: np.ndarray
    after_M: np.ndarray
    metres_M: np.ndarray
    degrees_M: np.ndarray
    seconds_M: np.ndarray
    frames_M: np.ndarray

    @property
    def speeds_M(self) -> np.ndarray:
        """Metres per second; NaN where two frames have one time."""
        return _ratio(self.metres_M, self.seconds_M)

    @property
    def rotations_M(self) -> np.ndarray:
        """Degrees per second; NaN where two frames have one time."""
        return _ratio(self.degrees_M, self.seconds_M)

    @property
    def metres_per_frame_M(self) -> np.ndarray:
        """Metres per frame time of the run; NaN where two frames have one time."""
        return _ratio(self.metres_M, self.frames_M)

    @property
    def degrees_per_frame_M(self) -> np.ndarray:
        """Degrees per frame time of the run; NaN where two frames have one time."""
        return _ratio(self.degrees_M, self.frames_M)


class Tracks:
    """Positions (N, 3), orientations (N, 4), stamps (N,) and splits (N,) of a scene, and its runs.

    Stamps of a scene with an ``assumed_rate_hz`` count frames, and nothing may be printed in seconds.

    A run is what one camera recorded in one go: indices into the scene, by their stamps (`formats.runs`).
    """

    def __init__(self, scene: Scene) -> None:
        self.images, self.units, self.assumed_rate_hz = scene.images, scene.units, scene.assumed_rate_hz
        self.positions_N3, self.orientations_N4 = stack([image.pose for image in scene.images])
        self.stamps_N = np.array([image.stamp for image in scene.images], np.float64)
        self.splits_N = np.array([image.split for image in scene.images])
        self.runs = find_runs(scene.images)

    def __len__(self) -> int:
        return len(self.images)

    @cached_property
    def seconds_N(self) -> np.ndarray:
        """When each frame was taken, in seconds since the first one of its run: stamps of robots count from 1970."""
        seconds_N = np.zeros(len(self))
        for run in self.runs:
            seconds_N[run] = self.stamps_N[run] - self.stamps_N[run[0]]
        return seconds_N

    @cached_property
    def steps(self) -> Steps:
        before_M = np.concatenate([np.zeros(0, int), *(run[:-1] for run in self.runs)])
        after_M = np.concatenate([np.zeros(0, int), *(run[1:] for run in self.runs)])
        periods_M = np.concatenate([np.zeros(0), *(np.full(max(len(r) - 1, 0), self.period(r)) for r in self.runs)])
        seconds_M = self.stamps_N[after_M] - self.stamps_N[before_M]
        return Steps(
            before_M,
            after_M,
            np.linalg.norm(self.positions_N3[after_M] - self.positions_N3[before_M], axis=1),
            rotation_angle_deg(self.orientations_N4[after_M], self.orientations_N4[before_M]),
            seconds_M,
            _ratio(seconds_M, periods_M),
        )

    @cached_property
    def rotations_N33(self) -> np.ndarray:
        """``R_map_camera`` of every frame; its columns are the camera's right, down and forward in the map."""
        return Rotation.from_quat(self.orientations_N4, scalar_first=True).as_matrix()

    @property
    def directions_N3(self) -> np.ndarray:
        """The view direction of each camera in the map: unit vectors."""
        return self.rotations_N33[:, :, 2]

    def of(self, split: str) -> np.ndarray:
        """Indices of a split's frames."""
        return np.flatnonzero(self.splits_N == split)

    def period(self, run: np.ndarray) -> float:
        """Seconds between two frames of a run, the median; 0 where its frames have no time."""
        return frame_period(self.stamps_N[run])


def _ratio(above_M: np.ndarray, below_M: np.ndarray) -> np.ndarray:
    return np.divide(above_M, below_M, out=np.full(len(above_M), np.nan), where=below_M > 0)

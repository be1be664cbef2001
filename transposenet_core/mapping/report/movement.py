"""How far the adjustment moved each frame's camera."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.spatial.transform import Rotation

from transposenet_core.geometry.pose import Pose, rotation_angle_deg, stack
from transposenet_core.geometry.vertical import Vertical, find_vertical
from transposenet_core.mapping.sparse_map import SparseMap
from transposenet_core.scene import PosedImage


@dataclass(frozen=True, eq=False)
class Movement:
    """Frames by name in the order of the recording, with the poses of their colour cameras before and after.

    Positions (N, 3) in the map and orientations (N, 4) w x y z of ``T_map_camera``, recorded and adjusted.
    """

    names: tuple[str, ...]
    recorded_N3: np.ndarray
    adjusted_N3: np.ndarray
    recorded_N4: np.ndarray
    adjusted_N4: np.ndarray

    @classmethod
    def of(cls, images: Sequence[PosedImage], adjusted: Sequence[Pose]) -> Movement:
        """Of the images of a scene of the camera (`Scene.of_the_camera`) and their adjusted poses. ValueError where
        their numbers differ."""
        if len(images) != len(adjusted):
            raise ValueError(f"{len(images)} images and {len(adjusted)} adjusted poses")
        recorded_N3, recorded_N4 = stack([image.pose for image in images])
        return cls(
            tuple(image.name for image in images),
            recorded_N3,
            stack(list(adjusted))[0],
            recorded_N4,
            stack(list(adjusted))[1],
        )

    @classmethod
    def of_map(cls, sparse: SparseMap) -> Movement:
        """Of the frames of a map."""
        return cls.of([frame.image for frame in sparse.frames], [frame.T_map_camera for frame in sparse.frames])

    def __len__(self) -> int:
        return len(self.names)

    @cached_property
    def distance_N(self) -> np.ndarray:
        """How far each camera moved (N,), in the units of the scene."""
        return np.linalg.norm(self.adjusted_N3 - self.recorded_N3, axis=1)

    @cached_property
    def rotation_deg_N(self) -> np.ndarray:
        """By how much each camera rotated (N,), in degrees."""
        return rotation_angle_deg(self.recorded_N4, self.adjusted_N4)

    def moved_most(self, count: int = 10) -> np.ndarray:
        """Indices of the frames that moved farthest, farthest first; of equal ones the earlier."""
        return np.argsort(-self.distance_N, kind="stable")[:count]

    def vertical(self) -> Vertical:
        """Up of the map, by the adjusted cameras."""
        return find_vertical(self.adjusted_N3, rotations(self.adjusted_N4))


def rotations(orientations_N4: np.ndarray) -> np.ndarray:
    """Rotation matrices (N, 3, 3) of quaternions (N, 4) w x y z."""
    return Rotation.from_quat(orientations_N4, scalar_first=True).as_matrix()

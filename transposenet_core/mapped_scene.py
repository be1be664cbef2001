"""What a scene model knows of a scene besides the network: map, camera, where it was recorded, how exact it is."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field

import numpy as np
import torch

from transposenet_core.geometry.pose import Pose
from transposenet_core.scene import Intrinsics

KEPT = 0.99  # of held-out frames, which are all of the scene
POSES_PREFIX = "training_poses."


@dataclass(frozen=True)
class HeldOutError:
    """Standard deviations of the error on frames the weights were not fitted to: along the map's axes, metres and
    radians (rotation vector). ``source`` says which frames these were. ``covariance_scale`` is what covariances that
    the network itself gives have to be multiplied by, of position and of rotation, to be as large as those errors; None
    where it gives none. ``largest_sigma_m`` is the standard deviation of the position, all axes together, that those
    covariances then stay within on nearly all of the frames (`KEPT`): beyond it a frame is taken for another place's.
    None where no frames were held out."""

    position_std: tuple[float, float, float]
    rotation_std: tuple[float, float, float]
    source: str
    covariance_scale: tuple[float, float] | None = None
    largest_sigma_m: float | None = None

    def covariance_66(self) -> np.ndarray:
        return np.diag(np.square([*self.position_std, *self.rotation_std]))


@dataclass(eq=False)
class MappedScene:
    """A scene under its map frame. Training poses (thinned): positions (N, 3) in metres and orientations (N, 4)
    w x y z, as they were labelled. ``T_pose_camera`` is the scene's: the network answers the camera's pose, the
    localizer that of the labelled body."""

    name: str
    map_frame: str
    held_out_error: HeldOutError
    intrinsics: Intrinsics | None = None
    training_positions_N3: np.ndarray = field(default_factory=lambda: np.zeros((0, 3)))
    training_orientations_N4: np.ndarray = field(default_factory=lambda: np.zeros((0, 4)))
    T_pose_camera: Pose | None = None

    def describe(self) -> dict:
        """All but the training poses, for the description."""
        poses = self.training_positions_N3
        return {
            "name": self.name,
            "map_frame": self.map_frame,
            "intrinsics": None if self.intrinsics is None else self.intrinsics.to_dict(),
            "held_out_error": asdict(self.held_out_error),
            "T_pose_camera": None if self.T_pose_camera is None else self.T_pose_camera.to_dict(),
            "hull": {"min": poses.min(0).tolist(), "max": poses.max(0).tolist()} if len(poses) else None,
        }

    def tensors(self, number: int) -> dict[str, torch.Tensor]:
        """The training poses of scene `number` of a model, by the names they have among its tensors."""
        positions, orientations = _names(number)
        return {
            positions: torch.from_numpy(self.training_positions_N3.astype(np.float32)),
            orientations: torch.from_numpy(self.training_orientations_N4.astype(np.float32)),
        }

    @classmethod
    def read(cls, description: dict, tensors: dict[str, torch.Tensor], number: int) -> MappedScene:
        """The inverse of `describe` and `tensors`. KeyError, TypeError or ValueError where something is missing."""
        intrinsics, held_out = description["intrinsics"], description["held_out_error"]
        x, y, z = map(float, held_out["position_std"])
        about_x, about_y, about_z = map(float, held_out["rotation_std"])
        positions, orientations = _names(number)
        return cls(
            name=str(description["name"]),
            map_frame=str(description["map_frame"]),
            held_out_error=HeldOutError(
                (x, y, z), (about_x, about_y, about_z), str(held_out["source"]), _scale(held_out), _largest(held_out)
            ),
            intrinsics=None if intrinsics is None else Intrinsics(**intrinsics),
            training_positions_N3=tensors[positions].double().numpy(),
            training_orientations_N4=tensors[orientations].double().numpy(),
            T_pose_camera=None if (T := description.get("T_pose_camera")) is None else Pose.from_dict(T),
        )


def _scale(held_out: dict) -> tuple[float, float] | None:
    """A model from before there was one has none. ValueError where it is no scale."""
    found = held_out.get("covariance_scale")
    if found is None:
        return None
    position, rotation = map(float, found)
    return _positive("covariance_scale", position), _positive("covariance_scale", rotation)


def _largest(held_out: dict) -> float | None:
    found = held_out.get("largest_sigma_m")
    return None if found is None else _positive("largest_sigma_m", float(found))


def _positive(name: str, value: float) -> float:
    if not 0 < value < math.inf:
        raise ValueError(f"{name} is {value}, a positive number is needed")
    return value


def _names(number: int) -> tuple[str, str]:
    """The first scene's are those of a model with one scene, from before there were several."""
    prefix = POSES_PREFIX + (f"{number}." if number else "")
    return prefix + "positions", prefix + "orientations"

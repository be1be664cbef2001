"""A scene: the posed images of one place, their camera and their map frame."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

import numpy as np

from transposenet_core.errors import UserError
from transposenet_core.geometry.covariance import moved_covariance
from transposenet_core.geometry.intrinsics import Intrinsics
from transposenet_core.geometry.pose import Pose


class HasUnits(Protocol):
    """A scene, or what a scene model keeps of one."""

    units: str


SPLITS = ("train", "val", "test")
LEFT_OUT = "left_out"  # neither trained nor validated on: between the two, so that neighbours do not leak
UNITS = ("metres", "arbitrary")


def unit_name(units: str) -> str:
    """What to write behind a length in `units`, one of UNITS."""
    return "m" if units == "metres" else "units"


def common_units(scenes: Iterable[HasUnits]) -> str:
    """The units of a figure over several scenes: metres where those of all of them are."""
    return "metres" if all(scene.units == "metres" for scene in scenes) else "arbitrary"


def time_unit(assumed_rate_hz: float | None) -> tuple[str, float]:
    """The unit of times, "s" or "frames", and by what seconds at an assumed rate are multiplied for it."""
    return ("s", 1.0) if assumed_rate_hz is None else ("frames", assumed_rate_hz)


@dataclass(frozen=True, eq=False)
class DepthCamera:
    """How the depth images of a scene were taken: pinhole, ``metres_per_unit`` of a pixel's value, 0 is no depth.

    ``T_camera_depth`` takes a point of the depth camera's optical frame to the colour camera's.
    """

    intrinsics: Intrinsics
    metres_per_unit: float
    T_camera_depth: Pose


@dataclass(frozen=True, eq=False)
class PosedImage:
    """One image of a scene: its file, where its camera was (``T_map_camera``), and which split it is in.

    ``name`` is the image's path below the data set's root, as split files write it; ``stamp`` is in seconds;
    ``depth_path`` is the 16-bit depth image taken with it. ``covariance_66`` is how sure the recording was of the pose:
    position (metres), then rotation vector (radians), along the map's axes; None: it did not say.
    """

    name: str
    path: Path
    pose: Pose
    split: str
    sequence: str
    stamp: float
    depth_path: Path | None = None
    covariance_66: np.ndarray | None = None


@dataclass(eq=False)
class Scene:
    """Posed images under one map frame, in the order in which they were taken.

    Where the poses are not the colour camera's own but another body's on its mount, ``T_pose_camera`` takes a point of
    the camera's optical frame to that body's; None: they are the camera's. ``units`` (one of UNITS): positions are
    metres or have an unknown scale; ``time_offset_s`` was added to the images' stamps to find their poses.
    ``assumed_rate_hz``: the images carry no time, and their stamps count frames at this rate, which nobody measured;
    None: stamps are times. See `time_unit`.
    """

    name: str
    images: list[PosedImage]
    map_frame: str = "map"
    intrinsics: Intrinsics | None = None
    depth_camera: DepthCamera | None = None
    T_pose_camera: Pose | None = None
    root: Path = field(default_factory=Path)
    units: str = "metres"
    time_offset_s: float = 0.0
    assumed_rate_hz: float | None = None

    @property
    def time_unit(self) -> tuple[str, float]:
        """What stamps may be shown in: the unit, "s" or "frames", and by what a stamp is multiplied for it."""
        return time_unit(self.assumed_rate_hz)

    def of_the_camera(self) -> Scene:
        """The same scene with the poses of the colour camera itself, which a network can learn."""
        T = self.T_pose_camera
        if T is None:
            return self
        images = [replace(i, pose=i.pose @ T, covariance_66=_of_the_mount(i, T)) for i in self.images]
        return replace(self, images=images, T_pose_camera=None)

    def select(self, split: str) -> list[PosedImage]:
        """The images of a split (`all` for every image). UserError where the scene has none of them."""
        chosen = [image for image in self.images if split in ("all", image.split)]
        if not chosen:
            counts = Counter(image.split for image in self.images)
            found = ", ".join(f"{count} {name}" for name, count in counts.items()) or "no images at all"
            raise UserError(
                f"scene {self.name} ({self.root}) has no images in the split '{split}': found {found}; "
                "name another split or a split file with --split"
            )
        return chosen


def _of_the_mount(image: PosedImage, T_pose_camera: Pose) -> np.ndarray | None:
    """The covariance of a camera's pose from that of the body which carries it."""
    if image.covariance_66 is None:
        return None
    return moved_covariance(image.covariance_66, image.pose.rotation_33 @ T_pose_camera.position)

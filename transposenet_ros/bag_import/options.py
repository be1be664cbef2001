"""The user's options for importing a recording as a data set."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

import numpy as np

from transposenet_core.errors import UserError
from transposenet_core.geometry.pose import Pose
from transposenet_ros.bag_import.choices import AUTO

TRANSFORM = re.compile(r"tf:(?P<target>[^>]+?)->(?P<source>.+)")


@dataclass(frozen=True)
class ImportOptions:
    """Topics and frames as they are named in the recording; seconds, metres, degrees.

    ``pose`` is a topic or ``tf:MAP->FRAME``. ``extrinsic`` is `T_poseframe_camera`, the camera in the frame whose pose
    is recorded. ``time_offset`` is added to an image's stamp to get its time among the poses; None: measured from
    the images. ``split`` None is by sequence where there are three recordings or more, else by time block.
    """

    image: str
    pose: str
    pose_frame: str | None = None
    extrinsic: Pose | None = None
    camera_frame: str | None = None
    camera_info: str | None = None
    rectified: bool | None = None
    depth: str | None = None
    max_gap: float = 0.1
    min_match: float = 0.8
    keyframe_distance: float = 0.05
    keyframe_angle: float = 3.0
    split: str | None = None
    time_offset: float | None = 0.0
    start: float = 0.0
    duration: float = math.inf
    stamps: str = "header"
    tf: str = "/tf"
    tf_static: str = "/tf_static"

    def __post_init__(self) -> None:
        least = {"max_gap": 0.0, "keyframe_distance": 0.0, "keyframe_angle": 0.0, "start": 0.0, "duration": 0.0}
        for name, low in least.items():
            value = getattr(self, name)
            if math.isnan(value) or value < low or (math.isinf(value) and name != "duration"):
                raise UserError(f"--{name.replace('_', '-')} {value:g}: a number of at least {low:g} is allowed")
        if not 0 <= self.min_match <= 1:
            raise UserError(f"--min-match {self.min_match:g}: a share from 0 to 1 is allowed")
        if self.time_offset is not None and not (math.isfinite(self.time_offset) and abs(self.time_offset) < 1e9):
            raise UserError(f"--time-offset {self.time_offset:g}: seconds or '{AUTO}' are allowed")

    @property
    def frames(self) -> tuple[str, str] | None:
        """MAP and FRAME of ``tf:MAP->FRAME``, None where ``pose`` is a topic. UserError where it is neither."""
        if not self.pose.startswith("tf:"):
            return None
        match = TRANSFORM.fullmatch(self.pose)
        if match is None:
            raise UserError(f"--pose {self.pose}: write tf:MAP->FRAME, for instance tf:map->base_link, or a topic")
        return match["target"].strip().removeprefix("/"), match["source"].strip().removeprefix("/")


def extrinsic_of(text: str) -> Pose:
    """`T_poseframe_camera` from ``x,y,z,qw,qx,qy,qz``. UserError for anything else."""
    try:
        numbers = np.array([float(part) for part in text.split(",")])
    except ValueError:
        numbers = np.zeros(0)
    if numbers.shape != (7,) or not np.isfinite(numbers).all() or abs(np.linalg.norm(numbers[3:]) - 1) > 1e-2:
        raise UserError(
            f"--extrinsic {text}: write x,y,z,qw,qx,qy,qz, the camera's position in metres and its unit quaternion "
            "(w first) in the frame whose pose is recorded"
        )
    return Pose(numbers[:3], numbers[3:])


def time_offset_of(text: str) -> float | None:
    """Seconds, or None for 'auto'. UserError where it is neither."""
    if text == AUTO:
        return None
    try:
        return float(text)
    except ValueError:
        raise UserError(f"--time-offset {text}: seconds or '{AUTO}' are allowed") from None

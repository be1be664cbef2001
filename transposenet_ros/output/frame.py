"""What the worker passes to the node's outputs, and the interface that it requires of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from builtin_interfaces.msg import Time
from std_msgs.msg import Header

from transposenet_core.estimate import Estimate


@dataclass(frozen=True, eq=False)
class Frame:
    """One image (H, W, 3) uint8 RGB with its estimate, which is `camera_frame` in `map_frame` at `stamp`."""

    stamp: Time
    map_frame: str
    camera_frame: str
    image_HW3: np.ndarray
    estimate: Estimate

    @property
    def header(self) -> Header:
        """The header of everything that is published about the frame in the map."""
        return Header(stamp=self.stamp, frame_id=self.map_frame)

    @property
    def stamp_ns(self) -> int:
        return self.stamp.sec * 10**9 + self.stamp.nanosec

    @property
    def robot_time_ns(self) -> int:
        """When the image was taken by the clock of the robot's transforms, from which the camera's may differ."""
        return self.stamp_ns + round(self.estimate.time_offset_s * 1e9)


class Output(Protocol):
    """A consumer of frames: the worker's thread alone calls `publish`; the executor's also calls `forget`, on ~/reset
    and when another model is loaded."""

    def publish(self, frame: Frame) -> None:
        """Called for every frame that went through the network, localized or not."""

    def forget(self) -> None:
        """Forget the frames so far: time has jumped, or the images come from another camera."""

    def has_listeners(self) -> bool:
        """Whether `publish` has an effect for any subscriber."""

"""The poses of ~/path: the last ones, bounded in number and thinned by distance."""

from __future__ import annotations

from collections import deque

import numpy as np
from geometry_msgs.msg import PoseStamped


class PathPoses:
    """At most `length` poses, the oldest go first; a pose nearer than `spacing` metres to the last one is left out."""

    def __init__(self, length: int, spacing: float) -> None:
        self.poses: deque[PoseStamped] = deque(maxlen=length)
        self._spacing = spacing
        self._last: np.ndarray | None = None

    def add(self, pose: PoseStamped) -> bool:
        """Whether the pose has become part of the path."""
        position = pose.pose.position
        place = np.array([position.x, position.y, position.z])
        if self._last is not None and np.linalg.norm(place - self._last) < self._spacing:
            return False
        self._last = place
        self.poses.append(pose)
        return True

    def clear(self) -> None:
        self.poses.clear()
        self._last = None

"""Received transforms as poses, where tf2 would accept them."""

from __future__ import annotations

import numpy as np
from geometry_msgs.msg import Transform

from transposenet_core.geometry.pose import Pose
from transposenet_ros.transforms.errors import InvalidArgumentError

# How far from 1 the squared length of a rotation's quaternion may be, in tf2.
QUATERNION_TOLERANCE = 0.01


def received_pose(position: np.ndarray, orientation_wxyz: np.ndarray) -> Pose:
    """The `T_parent_child` that arrived as (3,) metres and a (4,) quaternion.

    Raises InvalidArgumentError where tf2 refuses it; `Pose` would give any quaternion the length 1.
    """
    squared_length = float(orientation_wxyz @ orientation_wxyz)
    if not (np.isfinite(position).all() and abs(squared_length - 1) < QUATERNION_TOLERANCE):
        raise InvalidArgumentError(
            f"position {position}, quaternion w x y z {orientation_wxyz}: the values must be finite and the squared "
            f"length of the quaternion 1 to within {QUATERNION_TOLERANCE:g}"
        )
    return Pose(position, orientation_wxyz)


def transform_from_message(message: Transform) -> Pose:
    """`T_parent_child` of a transform. InvalidArgumentError where tf2 would refuse it."""
    translation, rotation = message.translation, message.rotation
    return received_pose(
        np.array([translation.x, translation.y, translation.z]),
        np.array([rotation.w, rotation.x, rotation.y, rotation.z]),
    )

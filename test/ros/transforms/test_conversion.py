"""Which received transforms tf2 would refuse, and which become poses."""

from __future__ import annotations

import numpy as np
import pytest
from geometry_msgs.msg import Quaternion, Transform, Vector3

from transposenet_ros.transforms.conversion import received_pose, transform_from_message
from transposenet_ros.transforms.errors import InvalidArgumentError


@pytest.mark.parametrize("squared_length", [0.0, 0.9899, 1.0101, 1e300, np.inf, np.nan])
def test_quaternions_far_from_length_one_are_refused(squared_length: float) -> None:
    with pytest.raises(InvalidArgumentError, match="squared length of the quaternion 1 to within 0.01"):
        received_pose(np.zeros(3), np.sqrt(squared_length) * np.array([0.5, 0.5, -0.5, 0.5]))


@pytest.mark.parametrize("squared_length", [0.9901, 1.0, 1.0099])
def test_quaternions_near_length_one_are_normalised(squared_length: float) -> None:
    pose = received_pose(np.ones(3), np.sqrt(squared_length) * np.array([0.5, 0.5, -0.5, 0.5]))
    np.testing.assert_allclose(pose.orientation, [0.5, 0.5, -0.5, 0.5], atol=1e-15)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_positions_that_are_not_finite_are_refused(bad: float) -> None:
    with pytest.raises(InvalidArgumentError):
        received_pose(np.array([0.0, bad, 0.0]), np.array([1.0, 0.0, 0.0, 0.0]))


def test_a_message_has_its_quaternion_in_another_order() -> None:
    message = Transform(translation=Vector3(x=1.0, y=2.0, z=3.0), rotation=Quaternion(x=0.1, y=0.5, z=0.7, w=0.5))
    pose = transform_from_message(message)
    np.testing.assert_array_equal(pose.position, [1, 2, 3])
    np.testing.assert_allclose(pose.orientation, [0.5, 0.1, 0.5, 0.7], atol=1e-15)
    with pytest.raises(InvalidArgumentError):
        transform_from_message(Transform(rotation=Quaternion(w=2.0)))

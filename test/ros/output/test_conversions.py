"""Poses and covariances as messages: nothing is lost, and nothing leaves that an EKF or nav2 would refuse."""

from __future__ import annotations

import numpy as np
import pytest
from builtin_interfaces.msg import Time
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from std_msgs.msg import Header

from transposenet_core.estimate import Estimate
from transposenet_core.geometry.pose import Pose
from transposenet_ros.output.conversions import (
    VARIANCE_CAP,
    VARIANCE_FLOOR,
    nearest_sign,
    pose_from_message,
    pose_to_message,
    pose_with_covariance,
    sound_covariance,
    status_array,
    transform_stamped,
)

POSE = Pose(np.array([1.0, -2.0, 3.5]), np.array([0.1, 0.2, 0.3, 0.9]))
HEADER = Header(stamp=Time(sec=5, nanosec=7), frame_id="map")


def estimate(pose: Pose | None = POSE, covariance_66: np.ndarray | None = None, reason: str = "") -> Estimate:
    covariance_66 = np.eye(6) * 0.04 if covariance_66 is None else covariance_66
    return Estimate(pose, covariance_66, not reason, reason, "office", "map", covariance_source="a toss")


def test_quaternions_are_x_y_z_w_in_messages() -> None:
    message = pose_to_message(Pose(np.zeros(3), np.array([0.5, 0.1, -0.7, 0.2])))
    norm = np.linalg.norm([0.5, 0.1, -0.7, 0.2])
    q = message.orientation
    np.testing.assert_allclose([q.w, q.x, q.y, q.z], np.array([0.5, 0.1, -0.7, 0.2]) / norm, atol=1e-15)


@given(arrays(np.float64, 3, elements=st.floats(-1e4, 1e4)), arrays(np.float64, 4, elements=st.floats(-1, 1)))
def test_a_pose_survives_the_way_there_and_back(position: np.ndarray, orientation: np.ndarray) -> None:
    if np.linalg.norm(orientation) < 1e-3:
        return
    pose = Pose(position, orientation)
    back = pose_from_message(pose_to_message(pose))
    np.testing.assert_array_equal(back.position, pose.position)
    np.testing.assert_allclose(back.orientation, pose.orientation, atol=1e-15)


def test_transform_and_pose_hold_the_same_values() -> None:
    pose = pose_to_message(POSE)
    transform = transform_stamped(HEADER, "camera", pose)
    assert (transform.header.frame_id, transform.child_frame_id, transform.header.stamp.sec) == ("map", "camera", 5)
    translation = transform.transform.translation
    assert (translation.x, translation.y, translation.z) == (1.0, -2.0, 3.5)
    assert transform.transform.rotation == pose.orientation


def test_n13_the_orientation_is_continuous() -> None:
    rotated = np.array([1e-3, 1.0, 0.0, 0.0]), np.array([-1e-3, 1.0, 0.0, 0.0])
    orientations = [Pose(np.zeros(3), q).orientation for q in rotated]
    assert np.linalg.norm(orientations[1] - orientations[0]) > 1.9, "half a turn is where the canonical sign flips"
    second = nearest_sign(orientations[1], orientations[0])
    assert np.linalg.norm(second - orientations[0]) < 0.01
    np.testing.assert_array_equal(nearest_sign(orientations[1], None), orientations[1])


@given(arrays(np.float64, (6, 6), elements=st.floats(width=64)))
def test_n37_any_covariance_becomes_a_sound_one(covariance_66: np.ndarray) -> None:
    sound_66 = sound_covariance(covariance_66)
    assert np.isfinite(sound_66).all()
    np.testing.assert_array_equal(sound_66, sound_66.T)
    values = np.linalg.eigvalsh(sound_66)
    assert values.min() > VARIANCE_FLOOR / 2 and values.max() < VARIANCE_CAP * (1 + 1e-9)


def test_n37_a_sound_covariance_is_kept() -> None:
    mixed = np.diag([0.01, 0.04, 0.09, 1e-4, 1e-4, 4e-4])
    mixed[0, 1] = mixed[1, 0] = 0.005
    message = pose_with_covariance(HEADER, pose_to_message(POSE), mixed)
    np.testing.assert_allclose(np.reshape(message.pose.covariance, (6, 6)), mixed, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_n37_what_is_not_finite_is_at_the_cap(bad: float) -> None:
    np.testing.assert_array_equal(sound_covariance(np.full((6, 6), bad)), VARIANCE_CAP * np.eye(6))
    np.testing.assert_allclose(sound_covariance(np.zeros((6, 6))), VARIANCE_FLOOR * np.eye(6))


def test_status_has_localized_or_the_reason() -> None:
    good, bad = (
        status_array(HEADER, "localizer", estimate()),
        status_array(HEADER, "localizer", estimate(reason="dark")),
    )
    assert good.header == HEADER and (good.status[0].level, good.status[0].message) == (b"\x00", "localized")
    values = {pair.key: pair.value for pair in good.status[0].values}
    assert values["position_std_m"] == f"{np.sqrt(0.12):.4f}"
    assert values["confidence"] == f"one sigma {np.sqrt(0.12):.3f} m, {np.degrees(np.sqrt(0.12)):.2f} deg: a toss"
    assert values["rotation_std_deg"] == f"{np.degrees(np.sqrt(0.12)):.3f}"
    assert (values["refined"], values["refinement"]) == ("false", "")
    assert {pair.key: pair.value for pair in bad.status[0].values}["confidence"] == "none"
    assert (bad.status[0].level, bad.status[0].message) == (b"\x01", "dark")


@given(arrays(np.float64, 7, elements=st.sampled_from([0.0, 1.0, np.nan, np.inf])))
def test_messages_without_a_pose_are_refused(numbers: np.ndarray) -> None:
    message = pose_to_message(POSE)
    p, q = message.position, message.orientation
    p.x, p.y, p.z, q.x, q.y, q.z, q.w = map(float, numbers)
    if np.isfinite(numbers).all() and numbers[3:].any():
        assert np.isclose(np.linalg.norm(pose_from_message(message).orientation), 1)
    else:
        with pytest.raises(ValueError, match="not a pose"):
            pose_from_message(message)

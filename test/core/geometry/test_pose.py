"""Poses and rotation angles: properties that hold for every pose, and the exact ends of the angle's range."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.spatial.transform import Rotation
from transforms3d.quaternions import quat2mat

from transposenet_core.geometry.pose import Pose, mean_pose, rotation_angle_deg

coordinate = st.floats(-1e4, 1e4)
positions = arrays(np.float64, 3, elements=coordinate)
quaternions = arrays(np.float64, 4, elements=st.floats(-1, 1)).filter(lambda q: np.linalg.norm(q) > 0.1)
poses = st.builds(Pose, positions, quaternions)


@given(poses)
def test_matrix_round_trip(pose: Pose) -> None:
    back = Pose.from_matrix(pose.matrix_44)
    np.testing.assert_allclose(back.position, pose.position, atol=1e-9)
    assert rotation_angle_deg(back.orientation, pose.orientation) < 1e-6


@given(poses)
def test_matrix_is_transforms3ds(pose: Pose) -> None:
    np.testing.assert_allclose(pose.rotation_33, quat2mat(pose.orientation), atol=1e-12)


@given(poses)
def test_a_pose_times_its_inverse_is_the_identity(pose: Pose) -> None:
    np.testing.assert_allclose((pose @ pose.inverse()).matrix_44, np.eye(4), atol=1e-8)


@given(poses)
def test_orientation_is_unit_and_of_one_sign(pose: Pose) -> None:
    assert np.linalg.norm(pose.orientation) == pytest.approx(1, abs=1e-12)
    flipped = Pose(pose.position, -pose.orientation)
    np.testing.assert_allclose(flipped.orientation, pose.orientation, atol=1e-15)


@given(quaternions, st.floats(0, 180), arrays(np.float64, 3, elements=st.floats(-1, 1)))
def test_angle_is_the_angle_of_the_rotation(q: np.ndarray, degrees: float, axis: np.ndarray) -> None:
    if np.linalg.norm(axis) < 0.1:
        axis = np.array([0.0, 0.0, 1.0])
    rotation = Rotation.from_rotvec(np.radians(degrees) * axis / np.linalg.norm(axis))
    rotated = (Rotation.from_quat(q, scalar_first=True) * rotation).as_quat(scalar_first=True)
    assert rotation_angle_deg(q, rotated) == pytest.approx(degrees, abs=1e-6)
    assert rotation_angle_deg(q, -rotated) == pytest.approx(degrees, abs=1e-6)


@pytest.mark.parametrize(("other", "degrees"), [([1, 0, 0, 0], 0.0), ([-1, 0, 0, 0], 0.0), ([0, 0, 1, 0], 180.0)])
def test_e06_angle_is_exact_at_0_and_180(other: list, degrees: float) -> None:
    assert rotation_angle_deg(np.array([1.0, 0, 0, 0]), np.array(other, float)) == degrees


def test_float32_quaternions_never_give_nan() -> None:
    q = np.random.default_rng(0).normal(size=(10000, 4)).astype(np.float32)
    q /= np.linalg.norm(q, axis=1, keepdims=True)
    assert np.all(rotation_angle_deg(q, q) < 1e-4)


def test_a_block_a_little_off_becomes_the_nearest_rotation_and_a_reflection_is_refused() -> None:
    T = np.eye(4)
    T[0, 1] = 3.8e-4
    assert np.linalg.det(Pose.from_matrix(T).rotation_33) == pytest.approx(1, abs=1e-12)
    T[2, 2] = -1
    with pytest.raises(ValueError, match="determinant"):
        Pose.from_matrix(T)


@pytest.mark.parametrize(
    "values", [([np.nan, 0, 0], [1, 0, 0, 0]), ([0, 0, 0], [0, 0, 0, 0]), ([0, 0, 0], [np.inf, 0, 0, 0])]
)
def test_what_is_no_pose_is_refused(values: tuple) -> None:
    with pytest.raises(ValueError, match="not a pose"):
        Pose(*values)


def test_mean_pose_of_opposite_rotations_is_between_them() -> None:
    rotations = Rotation.from_euler("z", [[-30], [30]], degrees=True).as_quat(scalar_first=True)
    mean = mean_pose([Pose([0, 0, 0], rotations[0]), Pose([2, 0, 0], -rotations[1])])
    np.testing.assert_allclose(mean.position, [1, 0, 0])
    assert rotation_angle_deg(mean.orientation, np.array([1.0, 0, 0, 0])) < 1e-9

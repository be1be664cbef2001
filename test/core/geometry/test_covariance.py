"""Covariances are as large as the errors, or are scaled to be; a scene model stores the scale."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from transposenet_core.evaluation.calibration import CovarianceCalibration, nees
from transposenet_core.geometry.covariance import error_vectors, scaled
from transposenet_core.geometry.pose import Pose
from transposenet_core.training.validation import covariance_scale


def drawn(scale: tuple[float, float], frames: int = 4000) -> tuple[np.ndarray, np.ndarray]:
    """Errors (N, 6), each of a covariance of its own, and those covariances too small by `scale`."""
    generator = np.random.default_rng(0)
    A_N66 = generator.normal(size=(frames, 6, 6)) * generator.uniform(0.01, 0.1, (frames, 1, 1))
    reported_N66 = A_N66 @ A_N66.transpose(0, 2, 1) + 1e-6 * np.eye(6)
    roots_N66 = np.linalg.cholesky([scaled(reported_66, scale) for reported_66 in reported_N66])
    return (roots_N66 @ generator.normal(size=(frames, 6, 1)))[..., 0], reported_N66


@pytest.mark.parametrize("scale", [(1.0, 1.0), (100.0, 4.0), (0.3, 900.0)])
def test_the_scale_is_found_and_calibrates_covariances(scale: tuple[float, float]) -> None:
    error_N6, reported_N66 = drawn(scale)
    found = covariance_scale(error_N6, reported_N66)
    assert found == pytest.approx(scale, rel=0.05)
    before = CovarianceCalibration.of(error_N6, reported_N66)
    after = CovarianceCalibration.of(error_N6, np.array([scaled(C, found) for C in reported_N66]))
    assert list(before.nees.values()) == pytest.approx(scale, rel=0.05)
    assert list(after.nees.values()) == pytest.approx((1, 1)) and after.within_6 == pytest.approx(0.683, abs=0.03)
    assert "NEES 1.00" in str(after) and after.to_dict()["nees"] == after.nees


@given(position=st.floats(1e-6, 1e6), rotation=st.floats(1e-6, 1e6), seed=st.integers(0, 99))
def test_a_scaled_covariance_is_one(position: float, rotation: float, seed: int) -> None:
    A_66 = np.random.default_rng(seed).normal(size=(6, 6))
    covariance_66 = A_66 @ A_66.T + 1e-3 * np.eye(6)
    found_66 = scaled(covariance_66, (position, rotation))
    np.testing.assert_array_equal(found_66, found_66.T)
    np.linalg.cholesky(found_66)
    np.testing.assert_allclose(np.diag(found_66), np.diag(covariance_66) * np.repeat((position, rotation), 3))


def test_errors_are_along_the_maps_axes() -> None:
    rotation, by = Rotation.random(rng=1), Rotation.from_rotvec([0.1, -0.2, 0.3])
    ground_truth = Pose([1.0, 2, 3], rotation.as_quat(scalar_first=True))
    estimate = Pose([1.5, 2, 3], (by * rotation).as_quat(scalar_first=True))
    np.testing.assert_allclose(error_vectors([estimate], [ground_truth]), [[0.5, 0, 0, 0.1, -0.2, 0.3]], atol=1e-12)
    assert nees(np.full((3, 6), 2.0), np.array([np.eye(6)] * 3)) == {"position": 4.0, "rotation": 4.0}


def test_what_is_no_covariance_has_no_scale() -> None:
    assert covariance_scale(np.ones((2, 6)), np.zeros((2, 6, 6))) is None
    assert covariance_scale(np.ones((2, 6)), np.full((2, 6, 6), np.nan)) is None
    assert min(covariance_scale(np.zeros((2, 6)), np.array([np.eye(6)] * 2))) > 0

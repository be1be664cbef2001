"""The covariance by the matches is as large as the scatter of fits to noisy pixels, larger where noise is shared."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from core.refinement.room_views import off
from core.refinement.test_gauss_newton import CAMERA, drawn
from hypothesis import given, settings
from hypothesis import strategies as st

from transposenet_core.geometry.covariance import error_vectors
from transposenet_core.geometry.pose import Pose
from transposenet_core.refinement.covariance import GRID, covariance_of
from transposenet_core.refinement.gauss_newton import Fit, fit_pose
from transposenet_core.refinement.tracking import Matches

SAMPLES, COUNT = 150, 240


def matches_of(points_N3: np.ndarray, pixels_N2: np.ndarray) -> Matches:
    """Matches of two keyframes that see what the camera sees."""
    return replace(
        Matches.of_none(),
        points_N3=points_N3,
        pixels_N2=pixels_N2,
        corner_N2=(pixels_N2 + 0.5) / [CAMERA.width, CAMERA.height],
        keyframe_N=np.arange(len(points_N3)) % 2,
        tried=len(points_N3),
    )


def fitted(points_N3: np.ndarray, pixels_N2: np.ndarray, prior: Pose) -> Fit:
    fit = fit_pose(points_N3, pixels_N2, CAMERA, prior)
    assert fit is not None
    return fit


def simulated(noise_px: float, shared: float, seed: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """The scatter (6, 6) of poses fitted to pixels with noise, of whose variance a share is common to each cell of each
    keyframe; and the mean of the covariances that the fits state."""
    rng = np.random.default_rng(seed)
    points_N3, exact_N2, pose = drawn(rng, COUNT)
    matches = matches_of(points_N3, exact_N2)
    column_N, row_N = (matches.corner_N2 * GRID).astype(int).T
    cell_N = (matches.keyframe_N * GRID[1] + row_N) * GRID[0] + column_N
    poses, stated = [], []
    for _ in range(SAMPLES):
        own_N2, of_cell_C2 = rng.normal(size=(COUNT, 2)), rng.normal(size=(2 * GRID[0] * GRID[1], 2))
        noise_N2 = noise_px * (np.sqrt(1 - shared) * own_N2 + np.sqrt(shared) * of_cell_C2[cell_N])
        fit = fitted(points_N3, exact_N2 + noise_N2, pose)
        poses.append(fit.pose)
        stated.append(covariance_of(fit, matches))
    error_N6 = error_vectors(poses, [pose] * SAMPLES)
    return error_N6.T @ error_N6 / SAMPLES, np.mean(stated, axis=0)


def test_it_is_as_large_as_the_scatter_of_fits_with_independent_noise() -> None:
    for noise_px in (0.2, 0.4):
        scatter_66, stated_66 = simulated(noise_px, shared=0)
        ratio_6 = np.linalg.eigvals(np.linalg.solve(scatter_66, stated_66)).real  # whatever the axes
        assert 0.5 < ratio_6.min() and ratio_6.max() < 2, noise_px


def test_noise_that_cells_share_makes_it_larger() -> None:
    independent_66, by_itself_66 = simulated(0.4, shared=0)
    common_66, shared_66 = simulated(0.4, shared=0.5)
    assert (np.diag(common_66) > 1.5 * np.diag(independent_66)).all()  # so it is in the samples
    # Stated a little too small: the robust kernel takes part of the larger residuals for outliers.
    assert (np.diag(shared_66) > 1.2 * np.diag(by_itself_66)).all()
    ratio_6 = np.diag(shared_66) / np.diag(common_66)
    assert 0.5 < ratio_6.min() and ratio_6.max() < 2


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 1000), st.integers(8, 300), st.sampled_from([0.0, 1e-3, 0.3, 1.5]))
def test_it_is_symmetric_and_positive_definite(seed: int, count: int, noise_px: float) -> None:
    rng = np.random.default_rng(seed)
    points_N3, pixels_N2, pose = drawn(rng, count)
    fit = fitted(points_N3, pixels_N2 + noise_px * rng.normal(size=(count, 2)), pose)
    covariance_66 = covariance_of(fit, matches_of(points_N3, pixels_N2))
    np.testing.assert_array_equal(covariance_66, covariance_66.T)
    assert np.isfinite(covariance_66).all()
    np.linalg.cholesky(covariance_66)


def test_it_is_along_the_axes_of_the_map() -> None:
    """Points beside the optical axis hold the camera across it better than along it, however the map lies."""
    rng = np.random.default_rng(0)
    z_N = rng.uniform(2, 4, 200)
    local_N3 = np.column_stack((rng.uniform(-0.05, 0.05, (200, 2)) * z_N[:, None], z_N))
    pose = Pose([1, 2, 3], [0.5, 0.5, 0.5, 0.5])  # looks along the map's x
    np.testing.assert_allclose(pose.rotation_33[:, 2], [1, 0, 0], atol=1e-12)
    points_N3 = local_N3 @ pose.rotation_33.T + pose.position
    pixels_N2 = local_N3[:, :2] / z_N[:, None] * [CAMERA.fx, CAMERA.fy] + [CAMERA.cx, CAMERA.cy]
    fit = fitted(points_N3, pixels_N2 + rng.normal(0, 0.3, (200, 2)), off(pose, rng, 0.02, 0.5))
    variance_6 = np.diag(covariance_of(fit, matches_of(points_N3, pixels_N2)))
    assert variance_6[3] > 5 * variance_6[4:].max()  # the roll, about the optical axis, is what is held worst


def test_matches_that_hold_no_pose_leave_it_infinitely_open() -> None:
    points_N3, pixels_N2, pose = drawn(np.random.default_rng(0), 20)
    fit = fitted(points_N3, pixels_N2, pose)
    silent = Fit(fit.pose, fit.error_N2, fit.weight_N, fit.inlier_N, np.zeros_like(fit.jacobian_N26))
    assert np.isinf(covariance_of(silent, matches_of(points_N3, pixels_N2))).all()

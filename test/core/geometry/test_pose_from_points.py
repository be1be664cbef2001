"""The pose from points known in both frames: exact on exact points, better than alignment where depths are guesses."""

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from transposenet_core.geometry.pose import rotation_angle_deg
from transposenet_core.geometry.pose_from_points import aligned, refined
from transposenet_core.geometry.pose_of_points import pose_of_points
from transposenet_core.geometry.quaternions import product, rotated, small_rotation


def made(seed: int, points: int = 40, batch: int = 3) -> tuple[torch.Tensor, ...]:
    """Points before a camera (B, N, 3), its position (B, 3) and orientation (B, 4), the points in the map."""
    generator = np.random.default_rng(seed)
    p_camera = generator.uniform((-1.5, -1, 1), (1.5, 1, 4), (batch, points, 3))
    rotations = Rotation.random(batch, random_state=seed)
    positions = generator.normal(0, 5, (batch, 3))
    p_map = np.stack([rotation.apply(p) + t for rotation, p, t in zip(rotations, p_camera, positions, strict=True)])
    wxyz = rotations.as_quat(scalar_first=True)
    return tuple(torch.from_numpy(array) for array in (p_camera, positions, wxyz, p_map))


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6))
def test_exact_points_give_the_exact_pose(seed: int) -> None:
    p_camera, position, orientation, p_map = made(seed)
    weight = torch.rand(3, 40, dtype=torch.float64) + 0.1
    found, rotation = aligned(p_camera, p_map, weight)
    np.testing.assert_allclose(found, position, atol=1e-9)
    assert rotation_angle_deg(rotation.numpy(), orientation.numpy()).max() < 1e-6
    # and Gauss-Newton finds it from elsewhere, and stays there
    off = product(small_rotation(torch.full((3, 3), 0.05, dtype=torch.float64)), orientation)
    found, rotation, _ = refined(position + 0.1, off, p_camera, p_map, weight / weight * 1e-2, weight * 1e-2, 12)
    np.testing.assert_allclose(found, position, atol=1e-6)
    assert rotation_angle_deg(rotation.numpy(), orientation.numpy()).max() < 1e-4


def test_rotation_agrees_with_scipy() -> None:
    p_camera, _, orientation, _ = made(1)
    rotations = Rotation.from_quat(orientation.numpy(), scalar_first=True)
    expected = np.stack([rotation.apply(p) for rotation, p in zip(rotations, p_camera.numpy(), strict=True)])
    np.testing.assert_allclose(rotated(orientation, p_camera), expected, atol=1e-12)


def test_guessed_depths_spoil_the_alignment_more_than_the_refined_pose() -> None:
    """Depths are off by 15 % together, points by 2 cm: the rays are still more accurate."""
    p_camera, position, _, p_map = made(3, points=150, batch=40)
    generator = torch.Generator().manual_seed(0)
    stretch = 1 + 0.15 * torch.randn(40, 150, 1, generator=generator, dtype=torch.float64)
    p_map = p_map + 0.02 * torch.randn(p_map.shape, generator=generator, dtype=torch.float64)
    variance = torch.full((40, 150), 0.02**2, dtype=torch.float64)
    ray_variance = (0.15 * p_camera[..., 2]) ** 2
    guessed = p_camera * stretch
    plain, rotation = aligned(guessed, p_map, 1 / (3 * variance + ray_variance))
    better, rotation, information = refined(plain, rotation, guessed, p_map, variance, ray_variance, 5)
    plain_error, error = ((found - position).norm(dim=-1).median() for found in (plain, better))
    assert error < 0.5 * plain_error
    # The information is right: errors are about as large as its inverse.
    stated = torch.linalg.inv(information).diagonal(dim1=1, dim2=2)[:, :3].sum(dim=1).sqrt().median()
    assert 0.4 < error / stated < 2.5


def test_far_points_lose_weight() -> None:
    p_camera, position, orientation, p_map = made(5, points=60)
    p_map[:, :12] += 3.0
    variance = torch.full((3, 60), 0.03**2, dtype=torch.float64)
    found, rotation, _ = refined(position + 0.05, orientation, p_camera, p_map, variance, variance, 15)
    assert (found - position).norm(dim=-1).max() < 0.02
    assert rotation_angle_deg(rotation.numpy(), orientation.numpy()).max() < 0.5


def test_gradients_are_finite_through_both() -> None:
    p_camera, _, _, p_map = made(7)
    noisy = (p_map + 0.1 * torch.randn(p_map.shape, dtype=torch.float64)).requires_grad_()
    variance = torch.full((3, 40), 0.01, dtype=torch.float64)
    found, rotation = aligned(p_camera, noisy, 1 / variance)
    found, rotation, _ = refined(found, rotation, p_camera, noisy, variance, variance, 3)
    (found.sum() + rotation.sum()).backward()
    assert torch.isfinite(noisy.grad).all() and noisy.grad.abs().sum() > 0


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.integers(0, 6), st.floats(0.0, 0.3))
def test_numpy_gives_the_pose_and_covariance_of_torch(seed: int, iterations: int, noise: float) -> None:
    p_camera, _, _, p_map = made(seed, batch=1)
    generator = torch.Generator().manual_seed(seed)
    p_map = p_map + noise * torch.randn(p_map.shape, generator=generator, dtype=torch.float64)
    variance, ray_variance = (0.01 + torch.rand(1, 40, generator=generator, dtype=torch.float64) for _ in "12")
    position, rotation = aligned(p_camera, p_map, 1 / (3 * variance + ray_variance))
    position, rotation, information = refined(position, rotation, p_camera, p_map, variance, ray_variance, iterations)
    least = np.array([1e-4] * 6)
    found, orientation, covariance = pose_of_points(
        p_camera[0].numpy(), p_map[0].numpy(), variance[0].numpy(), ray_variance[0].numpy(), iterations, least
    )
    np.testing.assert_allclose(found, position[0], atol=1e-6)  # the damping of a step is in other axes
    assert rotation_angle_deg(orientation[None], rotation.numpy()).max() < 1e-4
    expected = np.linalg.inv(information[0].numpy() + np.diag(least))
    np.testing.assert_allclose(covariance, expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())


def test_numpy_returns_nothing_but_nan_where_a_number_is_not_finite() -> None:
    p_camera, _, _, p_map = (each[0].numpy() for each in made(1, batch=1))
    p_map[3] = np.nan
    for each in pose_of_points(p_camera, p_map, np.ones(40), np.ones(40), 4, np.full(6, 1e-4)):
        assert np.isnan(each).all()

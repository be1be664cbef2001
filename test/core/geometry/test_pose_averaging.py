"""Means of poses: independent of a quaternion's sign, equal to SciPy's, and the spread along the map's axes."""

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from transposenet_core.geometry.pose import rotation_angle_deg
from transposenet_core.geometry.pose_averaging import mean_orientation, mean_over_views, sample_covariance
from transposenet_core.geometry.quaternions import rotation_vectors

SEEDS = st.integers(0, 2**32 - 1)


def around(rng: np.random.Generator, count: int, spread: float) -> Rotation:
    return Rotation.from_rotvec(rng.normal(0, spread, (count, 3))) * Rotation.random(rng=rng)


@settings(max_examples=50, deadline=None)
@given(SEEDS, st.integers(1, 20))
def test_the_mean_is_scipys_whatever_the_signs_and_lengths(seed: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    rotations, weights = around(rng, count, 0.5), rng.uniform(0.1, 1, count)
    scaled = rotations.as_quat(scalar_first=True) * rng.choice([-1, 1], (count, 1)) * rng.uniform(0.1, 5, (count, 1))
    found = mean_orientation(torch.from_numpy(scaled)[None], torch.from_numpy(weights)[None])[0]
    expected = rotations.mean(weights).as_quat(scalar_first=True)
    assert rotation_angle_deg(found.numpy(), expected) < 1e-5 and found[0] >= 0


@settings(max_examples=50, deadline=None)
@given(SEEDS)
def test_rotation_vectors_are_scipys(seed: int) -> None:
    to, start = (
        Rotation.random(8, rng=np.random.default_rng(seed)),
        Rotation.random(8, rng=np.random.default_rng(~seed % 2**32)),
    )
    found = rotation_vectors(*(torch.from_numpy(r.as_quat(scalar_first=True)) for r in (to, start)))
    np.testing.assert_allclose(found, (to * start.inv()).as_rotvec(), atol=1e-9)
    same = torch.tensor([[0.5, 0.5, -0.5, 0.5]])
    assert rotation_vectors(same, -same).abs().max() == 0


def test_the_covariance_is_that_of_the_samples() -> None:
    rng = np.random.default_rng(1)
    sigma = np.array([0.1, 0.2, 0.3, 0.01, 0.02, 0.03])
    drawn = rng.normal(size=(20000, 6)) * sigma
    drawn[:, 3] += 0.1 * drawn[:, 0]  # a rotation about the map's x correlates with a step along it
    middle = Rotation.random(rng=rng)
    rotated = (Rotation.from_rotvec(drawn[:, 3:]) * middle).as_quat(scalar_first=True)
    position, orientation = torch.from_numpy(drawn[None, :, :3]), torch.from_numpy(rotated)[None]
    mean = mean_orientation(orientation)
    assert rotation_angle_deg(mean[0].numpy(), middle.as_quat(scalar_first=True)) < 0.05
    covariance = sample_covariance(position, orientation, position.mean(dim=1), mean)[0]
    expected = np.diag(sigma**2)
    expected[3, 3] += 0.01 * sigma[0] ** 2
    expected[0, 3] = expected[3, 0] = 0.1 * sigma[0] ** 2
    np.testing.assert_allclose(covariance, expected, atol=0.03 * np.outer(sigma, sigma).max())
    np.testing.assert_allclose(np.diag(covariance), np.diag(expected), rtol=0.05)


def test_views_of_each_image_are_averaged_apart() -> None:
    position = torch.tensor([[0.0, 0, 0], [2, 0, 0], [10, 0, 0], [12, 0, 0]])
    rotations = Rotation.from_euler("z", [[10], [30], [-80], [-60]], degrees=True).as_quat(scalar_first=True)
    orientation = torch.from_numpy(rotations) * torch.tensor([[1.0], [-1], [1], [-1]])
    mean = mean_over_views({"position": position, "orientation": orientation, "attention": position}, images=2)
    assert mean["position"].tolist() == [[1, 0, 0], [11, 0, 0]] and "attention" not in mean
    expected = Rotation.from_euler("z", [[20], [-70]], degrees=True).as_quat(scalar_first=True)
    assert rotation_angle_deg(mean["orientation"].numpy(), expected).max() < 1e-5
    alone = {"position": position, "attention": position}
    assert mean_over_views(alone, images=4) is alone


def test_what_is_not_finite_stays_so() -> None:
    orientation = torch.tensor([[[1.0, 0, 0, 0], [torch.nan, 0, 0, 0]], [[1.0, 0, 0, 0], [1.0, 0, 0, 0]]])
    mean = mean_orientation(orientation)
    assert mean[0].isnan().all() and mean[1].tolist() == [1, 0, 0, 0]

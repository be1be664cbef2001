"""Estimates aligned with ground truth: exact where there is a solution, None where there is not."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from transposenet_core.evaluation.alignment import align
from transposenet_core.evaluation.errors import pose_errors, summarise
from transposenet_core.geometry.pose import Pose, rotation_angle_deg


def track(count: int, seed: int) -> list[Pose]:
    rng = np.random.default_rng(seed)
    return [Pose(rng.normal(size=3) * (4, 2, 1), rng.normal(size=4)) for _ in range(count)]


def moved(poses: list[Pose], by: Pose) -> list[Pose]:
    return [by @ pose for pose in poses]


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(4, 30), st.floats(0.0, 1e4))
def test_another_frame_is_found_exactly(seed: int, count: int, far: float) -> None:
    estimates = track(count, seed)
    T_ground_truth_map = Pose([far, -far, 1.0], np.random.default_rng(seed + 1).normal(size=4))
    found = align(estimates, moved(estimates, T_ground_truth_map))
    assert found is not None and found.scale == pytest.approx(1, abs=1e-9)
    assert found.errors.median_m < 1e-8 * (1 + far) and found.errors.median_deg < 1e-5
    np.testing.assert_allclose(found.T_ground_truth_map.position, T_ground_truth_map.position, atol=1e-8 * (1 + far))
    assert rotation_angle_deg(found.T_ground_truth_map.orientation, T_ground_truth_map.orientation) < 1e-5


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_no_small_step_away_from_it_has_smaller_squares(seed: int) -> None:
    """Noisy estimates, also of a mirrored ground truth: the result is the least-squares minimum over rotations."""
    rng = np.random.default_rng(seed)
    ground_truth_poses = track(8, seed)
    flip = np.array([1.0, 1, -1]) if seed % 2 else np.ones(3)
    estimates = [Pose(p.position * flip + 0.3 * rng.normal(size=3), p.orientation) for p in ground_truth_poses]
    found = align(estimates, ground_truth_poses)
    assume(found is not None)

    def squares(T: Pose) -> float:
        return float((pose_errors(moved(estimates, T), ground_truth_poses)[0] ** 2).sum())

    least = squares(found.T_ground_truth_map)
    for _ in range(20):
        step = Pose(1e-2 * rng.normal(size=3), [1.0, *(1e-2 * rng.normal(size=3))])
        assert squares(step @ found.T_ground_truth_map) >= least - 1e-9


def test_scale_is_reported_and_not_applied() -> None:
    estimates = track(10, 0)
    found = align(estimates, [Pose(3 * p.position, p.orientation) for p in estimates])
    assert found is not None and found.scale == pytest.approx(3) and found.errors.median_m > 0.5
    assert "best scale 3.000, not applied" in str(found)


def test_what_is_on_a_line_or_too_few_is_not_aligned() -> None:
    line = [Pose([0.1 * n, 0.2 * n, 0], [1.0, 0, 0, 0]) for n in range(20)]
    still = [Pose([1.0, 2, 3], [1.0, 0, 0, 0])] * 5
    for poses in (line, still, track(3, 0), []):
        assert align(poses, poses) is None


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_a_corridor_narrower_than_the_errors_gives_no_arbitrary_rotation(seed: int) -> None:
    """12 m straight on, 2 cm of sway, 10 cm of error: about the corridor's axis any rotation would fit."""
    rng = np.random.default_rng(seed)
    ground_truth_poses = [Pose([0.2 * n, *(0.02 * rng.normal(size=2))], [1.0, 0, 0, 0]) for n in range(60)]
    estimates = [Pose(p.position + 0.1 * rng.normal(size=3), p.orientation) for p in ground_truth_poses]
    assert align(estimates, ground_truth_poses) is None
    assert (
        align(ground_truth_poses, [Pose(p.position + (5, 0, 0), p.orientation) for p in ground_truth_poses]) is not None
    )


def test_only_what_fits_far_better_is_called_another_frame() -> None:
    estimates = track(12, 3)
    for translation, named in ((5.0, True), (0.0, False)):
        noisy = [Pose(p.position + (translation, 0, 0) + 0.1 * np.sin(p.position), p.orientation) for p in estimates]
        found = align(estimates, noisy)
        assert found is not None
        warning = found.another_frame(summarise(*pose_errors(estimates, noisy)))
        assert bool(warning) == named and ("another frame" in warning) == named

"""What a fit needs to be believed: each of the reasons against it, on made-up matches that lack nothing else."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from core.refinement.test_gauss_newton import CAMERA, seen
from made_views import moved

from transposenet_core.geometry.pose import Pose
from transposenet_core.refinement.acceptance import FARTHEST_STEP, LEAST_INLIERS, fault_of
from transposenet_core.refinement.gauss_newton import Fit, fit_pose
from transposenet_core.refinement.selection import KeyframeIndex
from transposenet_core.refinement.tracking import Matches

COUNT = 200
STRAIGHT = Pose([0, 0, 0], [1, 0, 0, 0])
# Of keyframes that stand within a metre of the camera and see things 2 m away.
INDEX = KeyframeIndex(np.array([[-1.0, -1, -1], [1, 1, 1]]), np.array([[0.0, 0, 1]] * 2), np.zeros((2, 1, 3)), 2.0)


def matches_of(pixels_N2: np.ndarray, depth_N: np.ndarray) -> Matches:
    local_N2 = (pixels_N2 - [CAMERA.cx, CAMERA.cy]) / [CAMERA.fx, CAMERA.fy] * depth_N[:, None]
    return replace(
        Matches.of_none(),
        points_N3=np.column_stack((local_N2, depth_N)),
        pixels_N2=pixels_N2,
        corner_N2=(pixels_N2 + 0.5) / [CAMERA.width, CAMERA.height],
        keyframe_N=np.zeros(len(pixels_N2), int),
        tried=len(pixels_N2),
        nearness_N=1 / depth_N,
        tried_nearness=float((1 / depth_N).sum()),
    )


def drawn(count: int = COUNT) -> Matches:
    rng = np.random.default_rng(0)
    return matches_of(rng.uniform(0, [159, 119], (count, 2)), rng.uniform(1, 4, count))


def fit_of(matches: Matches) -> Fit:
    fit = fit_pose(matches.points_N3, matches.pixels_N2, CAMERA, STRAIGHT)
    assert fit is not None
    return fit


def with_inliers(fit: Fit, inlier_N: np.ndarray) -> Fit:
    return replace(fit, inlier_N=inlier_N)


def fault(matches: Matches, fit: Fit, predicted: Pose = STRAIGHT, sigma: float = 0.01) -> str:
    return fault_of(fit, matches, CAMERA, predicted, INDEX, sigma, FARTHEST_STEP * INDEX.typical)


def test_what_lacks_nothing_is_accepted() -> None:
    matches = drawn()
    assert fault(matches, fit_of(matches)) == ""
    half_N = np.arange(COUNT) % 2 == 0
    assert fault(matches, with_inliers(fit_of(matches), half_N)) == ""


def test_a_third_of_the_corners_is_too_little() -> None:
    matches = drawn()
    assert "66 of 200 corners agree" in fault(matches, with_inliers(fit_of(matches), np.arange(COUNT) < 66))
    # Corners that were lost on the way count as well.
    assert "corners agree" in fault(replace(matches, tried=500), fit_of(matches))


def test_few_corners_are_too_little_even_if_all_agree() -> None:
    matches = drawn(LEAST_INLIERS - 1)
    assert "29 of 29 corners agree" in fault(matches, fit_of(matches))
    assert fault(drawn(60), fit_of(drawn(60))) == ""


def test_r02_a_skyline_alone_is_too_little() -> None:
    rng = np.random.default_rng(0)
    depth_N = np.where(np.arange(COUNT) < COUNT // 2, 100.0, 2.0)
    matches = matches_of(rng.uniform(0, [159, 119], (COUNT, 2)), depth_N)
    assert "hardly any near ones" in fault(matches, with_inliers(fit_of(matches), depth_N > 50))
    assert fault(matches, with_inliers(fit_of(matches), depth_N < 50)) == ""


def test_corners_in_one_part_of_the_image_are_too_little() -> None:
    rng = np.random.default_rng(0)
    for low, high in (((0, 0), (39, 119)), ((80, 0), (159, 39))):
        matches = matches_of(rng.uniform(low, high, (COUNT, 2)), rng.uniform(1, 4, COUNT))
        assert "of 12 parts of the image" in fault(matches, fit_of(matches))


@pytest.mark.parametrize(("step", "accepted"), [(0.9, True), (1.1, False)])
def test_a_step_beyond_half_the_typical_depth_is_refused(step: float, accepted: bool) -> None:
    sentence = fault(drawn(), fit_of(drawn()), moved(STRAIGHT, np.array([step, 0, 0]), np.zeros(3)))
    assert sentence == "" if accepted else "from the predicted position" in sentence


@pytest.mark.parametrize(("degrees", "accepted"), [(40, True), (50, False), (180, False)])
def test_a_large_turn_is_refused(degrees: float, accepted: bool) -> None:
    sentence = fault(drawn(), fit_of(drawn()), moved(STRAIGHT, np.zeros(3), np.radians([0, degrees, 0])))
    assert sentence == "" if accepted else "from the predicted orientation" in sentence


@pytest.mark.parametrize("axis", range(3))
@pytest.mark.parametrize("side", [-1, 1])
def test_a_pose_outside_of_where_the_keyframes_were_taken_is_refused(axis: int, side: int) -> None:
    for away, accepted in ((1.9, True), (2.1, False)):
        there = Pose(side * away * np.eye(3)[axis], [1, 0, 0, 0])
        sentence = fault(drawn(), replace(fit_of(drawn()), pose=there), there)
        assert sentence == "" if accepted else "outside" in sentence


@pytest.mark.parametrize("sigma", [0.3, np.inf, np.nan])
def test_a_position_that_the_matches_leave_open_is_refused(sigma: float) -> None:
    assert "the position is open" in fault(drawn(), fit_of(drawn()), sigma=sigma)


def test_made_up_matches_are_seen_where_they_say() -> None:
    matches = drawn()
    np.testing.assert_allclose(seen(matches.points_N3, STRAIGHT), matches.pixels_N2, atol=1e-9)

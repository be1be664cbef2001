"""Poses on rendered views with exact ground truth: from near and from far, between alike places, of few keyframes."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from core.refinement.room_views import Query, RoomViews, error_of, joined, off, wrong
from hypothesis import given, settings
from hypothesis import strategies as st
from rendered_room import CAMERA
from scipy.spatial.transform import Rotation, Slerp

from transposenet_core.geometry.pose import Pose, stack
from transposenet_core.refinement import Refinement, Refiner
from transposenet_core.scene_model.keyframes import Keyframes


@pytest.fixture(scope="module")
def refiner(room: RoomViews) -> Refiner:
    return Refiner(room.keyframes)


def refined(refiner: Refiner, query: Query, prior: Pose, far: bool = False) -> Refinement:
    return refiner.refine(query.image_HW3, CAMERA, [prior], far)


@pytest.mark.parametrize("far", [False, True])
def test_a_pose_between_keyframes_becomes_exact(room: RoomViews, refiner: Refiner, far: bool) -> None:
    rng = np.random.default_rng(0)
    for query in room.queries:
        for _ in range(2):
            found = refined(refiner, query, off(query.pose, rng, 0.05, 1.5), far)
            assert found.accepted and found.pose is not None, found.fault
            metres, degrees = error_of(found.pose, query.pose)
            assert metres < 0.01 and degrees < 0.3
            assert found.share > 0.8 and 1 <= len(found.keyframes) <= 2
            np.linalg.cholesky(found.covariance_66)
            sigma_6 = np.sqrt(np.diag(found.covariance_66))
            assert sigma_6.max() < 0.01 and metres < 10 * np.linalg.norm(sigma_6[:3])


def test_an_exact_pose_stays_and_a_second_time_gives_the_same(room: RoomViews, refiner: Refiner) -> None:
    query = room.queries[2]
    first, second = (refined(refiner, query, query.pose) for _ in range(2))
    assert first.pose is not None and second.pose is not None
    assert max(error_of(first.pose, query.pose)) < 0.05
    np.testing.assert_array_equal(first.pose.matrix_44, second.pose.matrix_44)
    np.testing.assert_array_equal(first.covariance_66, second.covariance_66)


def test_the_first_prediction_that_is_confirmed_counts(room: RoomViews, refiner: Refiner) -> None:
    rng, query = np.random.default_rng(0), room.queries[1]
    elsewhere = Pose([3, -20, 0.5], [1, 0, 0, 0])
    rotated = Pose(query.pose.position, (query.pose.orientation * [1, -1, -1, -1])[[1, 0, 3, 2]])
    near = off(query.pose, rng, 0.05, 1.5)
    found = refiner.refine(query.image_HW3, CAMERA, [elsewhere, rotated, near, query.pose], far=True)
    assert found.accepted and found.prior == 2 and found.pose is not None
    assert error_of(found.pose, query.pose)[0] < 0.01
    both = refiner.refine(query.image_HW3, CAMERA, [near, elsewhere, query.pose])
    assert both.accepted and both.prior == 0
    nothing = refiner.refine(query.image_HW3, CAMERA, [], far=True)
    assert not nothing.accepted and nothing.pose is None and np.isinf(nothing.covariance_66).all()


def test_a_query_is_shrunk_to_where_its_pixels_see_what_a_keyframes_do(refiner: Refiner) -> None:
    for size in ((320, 240), (1280, 960), (160, 120)):
        assert refiner.query_size(CAMERA.resized(*size)) == (160, 120)
    assert refiner.query_size(CAMERA.resized(80, 60)) == (80, 60)  # and never made larger


def test_r04_far_predictions_are_refined_rightly_or_refused(room: RoomViews, refiner: Refiner) -> None:
    rng, outcomes = np.random.default_rng(4), Counter[str]()
    for number in range(60):
        query = room.queries[number % len(room.queries)]
        metres, degrees = rng.uniform(0.1, 1), rng.uniform(2.5, 30)
        found = refined(refiner, query, off(query.pose, rng, metres, degrees), far=True)
        outcomes["wrong" if wrong(found, query.pose) else "right" if found.accepted else "refused"] += 1
    assert outcomes["wrong"] <= 1
    assert outcomes["right"] >= 10, outcomes  # it does not only refuse


def test_r04_a_correction_beyond_half_the_typical_depth_is_refused(room: RoomViews, refiner: Refiner) -> None:
    query, typical = room.queries[3], refiner.index.typical
    for share, right in ((0.1, True), (0.3, False), (0.6, False)):
        back = Pose(query.pose.position - share * typical * query.pose.rotation_33[:, 2], query.pose.orientation)
        found = refiner.refine(query.image_HW3, CAMERA, [back], True, reach=0.5 * typical)
        assert found.accepted or not right
        assert not wrong(found, query.pose)
        assert share <= 0.5 or not found.accepted


MOVED = Pose([0, 2, 0], [1, 0, 0, 0])
MIRRORED = Pose([4.5, 4, 0], Rotation.from_euler("z", 180, degrees=True).as_quat(scalar_first=True))


def twice(made: Keyframes, second: Pose) -> Refiner:
    """The room and once more the same room, ``T_map_room`` away."""
    poses = [second @ Pose(p, q) for p, q in zip(made.positions_K3, made.orientations_K4, strict=True)]
    return Refiner(joined([made, Keyframes(made.image_KHW, made.depth_Khw, *stack(poses), made.camera)]))


def between(first: Pose, second: Pose, share: float) -> Pose:
    rotations = Rotation.from_quat([first.orientation, second.orientation], scalar_first=True)
    rotated = Slerp([0, 1], rotations)(share).as_quat(scalar_first=True)
    return Pose((1 - share) * first.position + share * second.position, rotated)


@pytest.mark.parametrize("second", [MOVED, MIRRORED], ids=["moved", "mirrored"])
def test_r05_of_two_identical_places_the_one_near_the_prediction_is_found(room: RoomViews, second: Pose) -> None:
    refiner, rng = twice(room.keyframes, second), np.random.default_rng(5)
    for query in room.queries[::2]:
        for ground_truth, share in ((query.pose, 0.0), (query.pose, 0.1), (second @ query.pose, 0.9)):
            prior = off(between(query.pose, second @ query.pose, share), rng, 0.05, 1.5)
            found = refined(refiner, query, prior)
            assert found.accepted and not wrong(found, ground_truth), (share, found.fault)


@pytest.mark.parametrize("second", [MOVED, MIRRORED], ids=["moved", "mirrored"])
def test_r05_between_two_identical_places_it_is_one_of_them_or_none(room: RoomViews, second: Pose) -> None:
    """A prediction in the middle of two places that look the same: any answer is a guess of which, and never a pose
    between them, where the camera cannot be."""
    refiner, rng = twice(room.keyframes, second), np.random.default_rng(6)
    for query in room.queries:
        for share in (0.4, 0.5, 0.6):
            prior = off(between(query.pose, second @ query.pose, share), rng, 0.05, 1.5)
            found = refined(refiner, query, prior)
            assert not (wrong(found, query.pose) and wrong(found, second @ query.pose))


@pytest.mark.parametrize("share", [0.3, 0.5])
def test_r05_a_network_that_is_sure_of_centimetres_is_not_led_to_the_other_place(room: RoomViews, share: float) -> None:
    """Its sigma, 5 cm along each axis, bounds how far refinement may go."""
    refiner, rng, reach = twice(room.keyframes, MOVED), np.random.default_rng(6), 5 * np.sqrt(3) * 0.05
    for query in room.queries:
        prior = off(between(query.pose, MOVED @ query.pose, share), rng, 0.05, 1.5)
        found = refiner.refine(query.image_HW3, CAMERA, [prior], True, reach)
        assert not found.accepted


def test_r05_of_candidates_in_two_identical_places_none_is_accepted(room: RoomViews) -> None:
    refiner, rng = twice(room.keyframes, MOVED), np.random.default_rng(7)
    for query in room.queries:
        here, there = (off(pose, rng, 0.05, 1.5) for pose in (query.pose, MOVED @ query.pose))
        found = refiner.refine(query.image_HW3, CAMERA, [here, there], far=True)
        assert not found.accepted and found.fault == "two places fit it"
        assert refiner.refine(query.image_HW3, CAMERA, [here], far=True).accepted


def test_the_number_of_the_prediction_is_that_of_the_given_ones(room: RoomViews, refiner: Refiner) -> None:
    query, behind = room.queries[0], room.queries[0].pose @ Pose([0, 0, 0], [0, 0, 1, 0])
    near_it = behind @ Pose([0.01, 0, 0], [1, 0, 0, 0])
    found = refiner.refine(query.image_HW3, CAMERA, [behind, near_it, query.pose], far=True)
    assert found.accepted and found.prior == 2


def test_r07_keyframes_without_points_give_nothing_and_disturb_nothing(room: RoomViews) -> None:
    made, query = room.keyframes, room.queries[2]
    empty = Keyframes(
        made.image_KHW, np.zeros_like(made.depth_Khw), made.positions_K3, made.orientations_K4, made.camera
    )
    for far in (False, True):
        found = refined(Refiner(empty), query, query.pose, far)
        assert not found.accepted and found.pose is None and "no keyframe" in found.fault
        found = refined(Refiner(joined([empty, made])), query, query.pose, far)
        assert found.accepted and min(found.keyframes) >= len(empty)


def test_r07_a_single_keyframe_is_enough_near_it(room: RoomViews) -> None:
    query, rng = room.queries[2], np.random.default_rng(0)
    refiner = Refiner(room.keyframes.only(np.array([2])))
    found = refined(refiner, query, off(query.pose, rng, 0.05, 1.5))
    assert found.accepted and found.keyframes == (0,) and found.pose is not None
    assert error_of(found.pose, query.pose)[0] < 0.01


def test_r07_no_keyframes_refuse(room: RoomViews) -> None:
    query = room.queries[0]
    found = refined(Refiner(room.keyframes.only(np.zeros(0, int))), query, query.pose)
    assert not found.accepted


def test_r07_more_keyframes_than_are_kept_ready(room: RoomViews, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("transposenet_core.refinement.refiner.MOST_READY", 2)
    refiner = Refiner(room.keyframes)
    monkeypatch.undo()
    before = Refiner(room.keyframes)
    for query in (*room.queries, room.queries[0]):
        few, all_of_them = refined(refiner, query, query.pose), refined(before, query, query.pose)
        assert few.pose is not None and all_of_them.pose is not None
        np.testing.assert_array_equal(few.pose.matrix_44, all_of_them.pose.matrix_44)
    assert refiner._template.cache_info().currsize == 2 < before._template.cache_info().currsize


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([1e-9, 1.0, 1e3, 1e7]))
def test_predictions_of_any_kind_raise_nothing(room: RoomViews, seed: int, size: float) -> None:
    rng = np.random.default_rng(seed)
    prior = Pose(size * rng.normal(size=3), rng.normal(size=4))
    found = refined(Refiner(room.keyframes), room.queries[0], prior, far=True)
    assert not wrong(found, room.queries[0].pose)

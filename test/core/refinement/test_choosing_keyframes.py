"""Which frames become keyframes, and which keyframes are compared with a view."""

from __future__ import annotations

import numpy as np
import pytest
from box_scene import DEPTH_CAMERA, seen, views
from core.refinement.room_views import off
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from transposenet_core.geometry.intrinsics import Intrinsics
from transposenet_core.geometry.pose import Pose, stack
from transposenet_core.refinement.coverage import covering
from transposenet_core.refinement.selection import COMPARED, KeyframeIndex

TINY = Intrinsics(20, 16, 15.0, 15.0, 9.5, 7.5)


def walk(rng: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Poses of a camera that wanders and rotations, as a recording has them."""
    positions_N3 = np.cumsum(rng.normal(0, 0.1, (count, 3)), axis=0)
    rotations = Rotation.from_rotvec(np.cumsum(rng.normal(0, 0.1, (count, 3)), axis=0))
    return positions_N3, rotations.as_quat(scalar_first=True)


def apart(positions_N3: np.ndarray, orientations_N4: np.ndarray, typical: float) -> np.ndarray:
    """The distance (N, N) of each pair of poses: step by typical depth, plus the angle in radians."""
    step_NN = np.linalg.norm(positions_N3[:, None] - positions_N3, axis=2) / typical
    cosine_NN = np.clip(np.abs(orientations_N4 @ orientations_N4.T), 0, 1)
    return step_NN + 2 * np.arccos(cosine_NN)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 150), st.integers(1, 60), st.floats(0.05, 2), st.floats(0.5, 10))
def test_every_frame_is_near_a_chosen_one(seed: int, count: int, most: int, radius: float, typical: float) -> None:
    positions_N3, orientations_N4 = walk(np.random.default_rng(seed), count)
    chosen_K = covering(positions_N3, orientations_N4, typical, most, radius)
    apart_NN = apart(positions_N3, orientations_N4, typical)
    assert 1 <= len(chosen_K) <= min(most, count)
    assert (np.diff(chosen_K) > 0).all()
    if len(chosen_K) < most:  # else it stopped at that
        assert apart_NN[:, chosen_K].min(axis=1).max() <= radius + 1e-6
    between_KK = apart_NN[np.ix_(chosen_K, chosen_K)] + np.where(np.eye(len(chosen_K)), np.inf, 0)
    assert between_KK.min() > radius - 1e-6  # none is there twice


def test_few_frames_are_spread_over_the_whole_recording() -> None:
    positions_N3 = np.column_stack((np.linspace(0, 10, 101), np.zeros((101, 2))))
    chosen_K = covering(positions_N3, np.tile([1.0, 0, 0, 0], (101, 1)), 2.0, 5, 0.01)
    assert len(chosen_K) == 5
    assert np.abs(positions_N3[:, None, 0] - positions_N3[chosen_K, 0]).min(axis=1).max() <= 2.5


def test_of_no_frames_none_is_chosen() -> None:
    assert len(covering(np.zeros((0, 3)), np.zeros((0, 4)), 1.0, 5, 0.1)) == 0


@pytest.fixture(scope="module")
def box() -> tuple[KeyframeIndex, list[Pose]]:
    poses = views(40)
    depth_Khw = np.stack([seen(pose, DEPTH_CAMERA)[0] for pose in poses]).astype(np.float16)
    return KeyframeIndex.of(depth_Khw, *stack(poses), DEPTH_CAMERA), poses


def test_a_view_overlaps_most_with_itself(box) -> None:
    index, poses = box
    for place, pose in enumerate(poses):
        near = index.nearest(pose, DEPTH_CAMERA, 3)
        assert near[0] == place and 1 <= len(near) <= 3 and len(set(near)) == len(near)
        ahead = [poses[each].rotation_33[:, 2] @ pose.rotation_33[:, 2] for each in near]
        assert min(ahead) > np.cos(np.radians(60))  # what looks elsewhere shows nothing of it


def test_points_lie_on_the_walls(box) -> None:
    index, _ = box
    np.testing.assert_allclose(np.minimum(index.points_KS3, [6, 5, 3] - index.points_KS3).min(axis=2), 0, atol=5e-3)
    assert 1 < index.typical < 4


def test_nothing_is_compared_with_a_view_of_nothing(box) -> None:
    index, poses = box
    assert len(index.nearest(Pose([1e6, 0, 0], poses[0].orientation), DEPTH_CAMERA, 2)) == 0


def many(count: int, known_K: np.ndarray, origin_3: tuple[float, ...] = (0, 0, 0)) -> tuple[KeyframeIndex, list[Pose]]:
    """Keyframes in a large hall, of which those that are not known have no depth."""
    rng = np.random.default_rng(0)
    positions_K3 = rng.uniform(0, 60, (count, 3)) * [1, 1, 0.02] + np.array(origin_3)
    rotvec_K3 = rng.uniform(0, 2 * np.pi, (count, 1)) * [0, 1, 0]
    orientations_K4 = Rotation.from_rotvec(rotvec_K3).as_quat(scalar_first=True)
    depth_Khw = np.where(known_K[:, None, None], np.float16(3), np.float16(0)) * np.ones((1, 8, 10), np.float16)
    poses = [Pose(p, q) for p, q in zip(positions_K3, orientations_K4, strict=True)]
    return KeyframeIndex.of(depth_Khw, positions_K3, orientations_K4, TINY), poses


def test_r07_among_ten_thousand_keyframes_the_same_one_is_found() -> None:
    rng = np.random.default_rng(7)
    for origin_3 in ((0.0, 0.0, 0.0), (1e5, -2e5, 10.0)):
        index, poses = many(10_000, np.ones(10_000, bool), origin_3)
        for place in range(0, 10_000, 499):
            near = index.nearest(poses[place], TINY, 2)
            assert near[0] == place and len(near) <= 2
            beside = off(poses[place], rng, 0.3, 5)
            near = index.nearest(beside, TINY, 2)
            assert len(near) > 0
            assert np.linalg.norm(index.positions_K3[near] - beside.position, axis=1).max() < 6
            assert (index.forward_K3[near] @ beside.rotation_33[:, 2]).min() > 0


def test_r07_keyframes_without_depth_are_never_chosen() -> None:
    known_K = np.arange(600) % 3 == 0
    index, poses = many(600, known_K)
    assert index.typical == 3.0
    for place in range(0, 600, 7):
        near = index.nearest(poses[place], TINY, COMPARED)
        assert known_K[near].all() and (place in near) == known_K[place]
    nothing, poses = many(5, np.zeros(5, bool))
    assert len(nothing.nearest(poses[0], TINY, 2)) == 0 and np.isfinite(nothing.typical)


def test_r07_a_single_keyframe_is_found() -> None:
    index, poses = many(1, np.ones(1, bool))
    assert index.nearest(poses[0], TINY, 2).tolist() == [0]


def test_r07_of_no_keyframes_none_is_found() -> None:
    index, _ = many(0, np.zeros(0, bool))
    assert len(index.nearest(Pose([0, 0, 0], [1, 0, 0, 0]), TINY, 2)) == 0

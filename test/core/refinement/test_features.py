"""Features matched between a query and a keyframe, for views too far apart to be tracked."""

from __future__ import annotations

import numpy as np
import pytest
from core.refinement.room_views import RoomViews, error_of
from rendered_room import CAMERA

from transposenet_core.geometry.pose import Pose, rotation_angle_deg
from transposenet_core.refinement import Refiner
from transposenet_core.refinement.features import Features, KnownFeatures, pose_by_features
from transposenet_core.refinement.levels import grey_of

NOISE_HW = np.random.default_rng(0).integers(0, 256, (120, 160), dtype=np.uint8)


def known(room: RoomViews, place: int) -> KnownFeatures:
    made = room.keyframes
    pose = Pose(made.positions_K3[place], made.orientations_K4[place])
    return KnownFeatures.of(made.image_KHW[place], made.depth_Khw[place], made.camera, pose)


def grey(room: RoomViews, number: int) -> np.ndarray:
    return grey_of(room.queries[number].image_HW3, (room.keyframes.camera.width, room.keyframes.camera.height))


def test_points_of_features_are_where_the_keyframe_shows_them(room: RoomViews) -> None:
    made, found = room.keyframes, known(room, 1)
    assert len(found.points_N3) > 50
    np.testing.assert_allclose(np.linalg.norm(found.descriptors_N128, axis=1), 1, atol=1e-5)
    own = Features.of(made.image_KHW[1])
    agreeing, pose = pose_by_features(own, found, made.camera) or (0, None)
    assert pose is not None and agreeing > 50
    metres, degrees = error_of(pose, Pose(made.positions_K3[1], made.orientations_K4[1]))
    assert metres < 0.02 and degrees < 0.5


def test_a_view_beside_a_keyframe_is_found_to_some_percent_of_the_depth(room: RoomViews) -> None:
    right = 0
    for number, query in enumerate(room.queries):
        features = Features.of(grey(room, number))
        for place in range(len(room.keyframes)):
            found = pose_by_features(features, known(room, place), room.keyframes.camera)
            if found is not None and found[0] >= 20:
                metres, degrees = error_of(found[1], query.pose)
                right += metres < 0.15 and degrees < 3
                assert metres < 0.5 and degrees < 10
    assert right >= len(room.queries)


@pytest.mark.parametrize("image_HW", [NOISE_HW, np.zeros_like(NOISE_HW), np.full_like(NOISE_HW, 200)])
def test_r02_nothing_agrees_with_an_image_of_nothing(room: RoomViews, image_HW: np.ndarray) -> None:
    found = pose_by_features(Features.of(image_HW), known(room, 0), room.keyframes.camera)
    assert found is None or found[0] < 15


def test_r07_a_keyframe_without_depth_has_no_features(room: RoomViews) -> None:
    made = room.keyframes
    found = KnownFeatures.of(
        made.image_KHW[0], np.zeros_like(made.depth_Khw[0]), made.camera, Pose([0, 0, 0], [1, 0, 0, 0])
    )
    assert len(found.points_N3) == len(found.descriptors_N128) == 0
    assert pose_by_features(Features.of(grey(room, 0)), found, made.camera) is None


def test_points_on_one_line_or_in_one_place_give_a_pose_or_none() -> None:
    rng = np.random.default_rng(0)
    values = np.abs(rng.normal(size=(30, 128))).astype(np.float32)
    values /= np.linalg.norm(values, axis=1, keepdims=True)
    query = Features(rng.uniform(0, 100, (30, 2)), values)
    for points_N3 in (np.ones((30, 3)), np.outer(np.arange(30.0), [1, 2, 3]), np.full((30, 3), 1e9)):
        found = pose_by_features(query, KnownFeatures(values, points_N3), CAMERA)
        assert found is None or np.isfinite(found[1].matrix_44).all()


def test_r04_a_prediction_that_looks_elsewhere_is_mended_by_features_alone(
    room: RoomViews, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rolled by 40 degrees, which neither tracking nor the rotation by small images finds."""
    refiner, query = Refiner(room.keyframes), room.queries[2]
    rolled = query.pose @ Pose([0.1, 0, 0], [np.cos(np.radians(20)), 0, 0, np.sin(np.radians(20))])
    assert rotation_angle_deg(rolled.orientation, query.pose.orientation) > 39
    found = refiner.refine(query.image_HW3, CAMERA, [rolled], far=True)
    assert found.accepted and found.pose is not None and error_of(found.pose, query.pose)[0] < 0.01
    monkeypatch.setattr("transposenet_core.refinement.refiner.pose_by_features", lambda *_: None)
    assert not refiner.refine(query.image_HW3, CAMERA, [rolled], far=True).accepted


def test_the_same_image_gives_the_same_features_and_pose(room: RoomViews) -> None:
    first, second = (pose_by_features(Features.of(grey(room, 1)), known(room, 1), room.keyframes.camera) for _ in "ab")
    assert first is not None and second is not None and first[0] == second[0]
    np.testing.assert_array_equal(first[1].matrix_44, second[1].matrix_44)

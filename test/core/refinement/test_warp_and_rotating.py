"""A query in a keyframe's view, and the yaw and pitch that bring it there from a pose that is rotated away."""

from __future__ import annotations

import numpy as np
import pytest
from made_views import moved
from scene_with_keyframes import room_keyframes
from scipy.spatial.transform import Rotation
from textured_planes import ARC, CAMERA, ROOM, camera_at, render

from transposenet_core.geometry.pose import Pose, rotation_angle_deg
from transposenet_core.refinement.levels import MIDDLE, grey_of, sizes_of
from transposenet_core.refinement.rotating import rotated_towards
from transposenet_core.refinement.template import Template, without_holes
from transposenet_core.refinement.tracking import track
from transposenet_core.refinement.warp import warped

SHAPE = (CAMERA.height, CAMERA.width)
HALF = CAMERA.resized(80, 60)


@pytest.fixture(scope="module")
def template() -> Template:
    """Of the fifth view of the room of textured planes."""
    made = room_keyframes(ARC[4:5])
    return Template.of(made.image_KHW[0], made.depth_Khw[0], made.camera, ARC[4])


def query_at(pose: Pose) -> list[np.ndarray]:
    return sizes_of(grey_of(render(ROOM, pose)[0], (160, 120)))


def test_a_query_at_the_keyframes_pose_is_the_keyframe(template: Template) -> None:
    query_HW = query_at(ARC[4])[1]
    seen_HW, x_HW, y_HW = warped(template, SHAPE, query_HW, CAMERA, ARC[4])
    inside = np.s_[2:-2, 2:-2]  # beyond the middles of the depth's pixels nothing can be interpolated
    row_HW, column_HW = np.indices(SHAPE)
    np.testing.assert_allclose(x_HW[inside], column_HW[inside], atol=1e-2)
    np.testing.assert_allclose(y_HW[inside], row_HW[inside], atol=1e-2)
    assert np.abs(seen_HW[inside].astype(int) - query_HW[inside]).max() <= 3


def test_a_query_from_elsewhere_is_brought_into_the_keyframes_view(template: Template) -> None:
    pose = camera_at((0.2, -0.05, 0.15), yaw_deg=-6, pitch_deg=2)
    seen_HW, x_HW, y_HW = warped(template, SHAPE, query_at(pose)[1], CAMERA, pose)
    both_HW = (x_HW > 2) & (x_HW < 157) & (y_HW > 2) & (y_HW < 117)
    assert 0.5 < both_HW.mean() < 1
    keyframe_HW = template.levels[1].image_HW
    alike = np.corrcoef(seen_HW[both_HW], keyframe_HW[both_HW])[0, 1]
    unwarped = np.corrcoef(query_at(pose)[1][both_HW], keyframe_HW[both_HW])[0, 1]
    assert alike > 0.85 and unwarped < 0.5
    outside_HW = (x_HW < -1) | (x_HW > 160)
    assert outside_HW.any() and (seen_HW[outside_HW] == MIDDLE).all()


def test_corners_are_where_the_rendered_depth_puts_them(template: Template) -> None:
    for level, camera in zip(template.levels, (HALF, CAMERA), strict=True):
        assert len(level.corners_N2) > 40
        local_N3 = (level.points_N3 - ARC[4].position) @ ARC[4].rotation_33
        pixels_N2 = local_N3[:, :2] / local_N3[:, 2:] * [camera.fx, camera.fy] + [camera.cx, camera.cy]
        np.testing.assert_allclose(pixels_N2, level.corners_N2, atol=1e-3)
        exact_HW = render(ROOM, ARC[4], camera)[1]
        column_N, row_N = np.rint(level.corners_N2).astype(int).T
        ratio_N = local_N3[:, 2] / exact_HW[row_N, column_N]
        assert np.median(np.abs(ratio_N - 1)) < 5e-3 and np.abs(ratio_N - 1).max() < 0.1  # none is across an edge


def test_corners_are_tracked_to_where_the_query_shows_their_points(template: Template) -> None:
    for pose in (ARC[4], ARC[5]):
        matches = track(template, 1, query_at(pose)[1], CAMERA, ARC[4])
        local_N3 = (matches.points_N3 - pose.position) @ pose.rotation_33
        exact_N2 = local_N3[:, :2] / local_N3[:, 2:] * [CAMERA.fx, CAMERA.fy] + [CAMERA.cx, CAMERA.cy]
        assert np.median(np.linalg.norm(matches.pixels_N2 - exact_N2, axis=1)) < 0.3
        assert len(matches) > 40 and matches.tried >= len(matches)
        depth_N = (matches.points_N3 - ARC[4].position) @ ARC[4].rotation_33[:, 2]
        np.testing.assert_allclose(matches.nearness_N, 1 / depth_N)
        assert matches.tried_nearness >= matches.nearness_N.sum() - 1e-6  # those that were lost as well


def test_a_query_that_looks_away_shows_nothing(template: Template) -> None:
    away = moved(ARC[4], np.zeros(3), np.array([0, np.pi, 0]))
    seen_HW, x_HW, _ = warped(template, SHAPE, query_at(ARC[4])[1], CAMERA, away)
    assert (seen_HW == MIDDLE).all() and (x_HW < -1000).all()


@pytest.mark.parametrize(("yaw", "pitch"), [(8, 0), (-8, 0), (0, 8), (0, -8), (6, -6), (-6, 6)])
@pytest.mark.parametrize("at_keyframe", [True, False])
def test_a_turned_pose_comes_back(template: Template, yaw: float, pitch: float, at_keyframe: bool) -> None:
    ground_truth = ARC[4] if at_keyframe else ARC[5]
    rotation = Rotation.from_euler("yx", [yaw, pitch], degrees=True)
    orientation = (Rotation.from_quat(ground_truth.orientation, scalar_first=True) * rotation).as_quat(
        scalar_first=True
    )
    found, _ = rotated_towards([template], query_at(ground_truth)[0], HALF, Pose(ground_truth.position, orientation))
    np.testing.assert_array_equal(found.position, ground_truth.position)
    assert rotation_angle_deg(orientation, ground_truth.orientation) > 7.9
    assert rotation_angle_deg(found.orientation, ground_truth.orientation) < 1.5


def test_where_nothing_is_alike_the_pose_stays(template: Template) -> None:
    noise_HW = np.random.default_rng(0).integers(0, 256, (60, 80), dtype=np.uint8)
    found, _ = rotated_towards([template], noise_HW, HALF, ARC[5])
    assert rotation_angle_deg(found.orientation, ARC[5].orientation) < 1e-6
    assert rotation_angle_deg(rotated_towards([], noise_HW, HALF, ARC[5])[0].orientation, ARC[5].orientation) < 1e-6


def test_holes_of_depth_are_filled_from_the_nearest_pixel() -> None:
    depth_hw = np.zeros((6, 8), np.float32)
    assert (without_holes(depth_hw) == 1).all()
    depth_hw[0, 0], depth_hw[5, 7] = 2, 3
    filled_hw = without_holes(depth_hw)
    assert set(np.unique(filled_hw)) == {2, 3} and filled_hw[1, 1] == 2 and filled_hw[4, 6] == 3

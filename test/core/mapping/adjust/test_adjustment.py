"""Recordings of exact points with faulty poses and lenses: rows M1, M2, M3 and M5 of the fault matrix."""

from dataclasses import replace

import numpy as np
import pytest
from made_views import CAMERA, moved, noisy, views, walk

from transposenet_core.geometry.covariance import error_vectors
from transposenet_core.geometry.pose import Pose, rotation_angle_deg, stack
from transposenet_core.geometry.similarity import Similarity
from transposenet_core.mapping.adjust.adjustment import Adjustment, AdjustOptions, adjust_tracks
from transposenet_core.mapping.adjust.lens import Lens
from transposenet_core.mapping.build import mapped_poses
from transposenet_core.mapping.labels import LabelChoice
from transposenet_core.mapping.mapped_dataset import labelled
from transposenet_core.scene import Scene


@pytest.fixture(scope="module")
def walked():
    return views(walk())


def adjusted(found, recorded, camera=CAMERA, **options) -> Adjustment:
    return adjust_tracks(found.images(recorded), Lens.of(camera), found.found, AdjustOptions(**options))


def errors(result: Adjustment, exact: list[Pose]) -> tuple[float, float, float]:
    """Median metres and degrees after SE(3), and how far the scale is off."""
    position, _ = stack([frame.T_map_camera for frame in result.sparse.frames])
    true_position, true_orientation = stack(exact)
    to_exact = Similarity.of_points(position, true_position, with_scale=False)
    laid = [to_exact(frame.T_map_camera) for frame in result.sparse.frames]
    metres = np.linalg.norm(stack(laid)[0] - true_position, axis=1)
    scale = Similarity.of_points(position, true_position).scale
    return (
        float(np.median(metres)),
        float(np.median(rotation_angle_deg(stack(laid)[1], true_orientation))),
        abs(scale - 1),
    )


def test_m01_noise_of_every_frame_is_removed(walked):
    recorded = noisy(walked.poses, 0.05, 1.0)
    result = adjusted(walked, recorded)
    assert not result.refused
    metres, degrees, scale = errors(result, walked.poses)
    assert metres < 0.015
    assert degrees < 0.3
    assert scale < 0.015
    assert result.position_sigma == pytest.approx(0.05, rel=0.3)
    assert result.rotation_sigma_deg == pytest.approx(1.0, rel=0.3)
    assert result.after_px < 0.6 < result.before_px


def test_m01_drift_over_a_loop_is_resolved_inside_the_users_frame(walked):
    share = np.linspace(0, 1, len(walked.poses))
    drift = [moved(p, s * np.array([0.25, -0.15, 0.05]), [0, 0, 0]) for p, s in zip(walked.poses, share, strict=True)]
    result = adjusted(walked, drift)
    metres, degrees, _ = errors(result, walked.poses)
    assert metres < 0.015
    assert degrees < 0.3
    # The recorded average decides where the map is: what moved has a median of nothing.
    apart = error_vectors([frame.T_map_camera for frame in result.sparse.frames], drift)
    assert np.linalg.norm(np.median(apart[:, :3], axis=0)) < 0.03
    assert np.degrees(np.linalg.norm(np.median(apart[:, 3:], axis=0))) < 0.2


def test_m01_exact_poses_stay_and_the_map_frame_does_not_move(walked):
    result = adjusted(walked, walked.poses)
    assert result.kept_N.all()
    assert np.median(result.moved_m_N) < 0.003
    assert np.median(result.rotated_deg_N) < 0.1
    assert np.isfinite(result.sparse.point_P3).all()
    assert result.scale_of_images == pytest.approx(1, abs=0.003)


def test_m02_a_frame_that_sees_little_keeps_its_recorded_pose(walked):
    found = walked.found
    few = [replace(m, index_K2=m.index_K2[:1]) if 20 in (m.first, m.second) else m for m in found.matches]
    poor = replace(walked, found=replace(found, matches=few))
    recorded = noisy(walked.poses, 0.02, 0.5)
    result = adjusted(poor, recorded)
    assert not result.refused
    assert "are needed" in result.refused_frames["frame-0020.png"]
    assert result.sparse.frames[20].T_map_camera is recorded[20] or np.array_equal(
        result.sparse.frames[20].T_map_camera.position, recorded[20].position
    )
    assert errors(result, walked.poses)[0] < 0.015


def test_m02_wrong_matches_are_left_out():
    faulty = views(walk(), wrong=0.1)
    result = adjusted(faulty, noisy(faulty.poses, 0.03, 0.5))
    metres, degrees, _ = errors(result, faulty.poses)
    assert metres < 0.015
    assert degrees < 0.3


@pytest.mark.parametrize("standing", [False, True])
def test_m03_without_a_baseline_the_recorded_poses_stay(standing):
    poses = [Pose([0, 0, 0], pose.orientation) for pose in walk(40)]
    still = views([poses[0]] * 40 if standing else poses)
    recorded = noisy(still.poses, 0.001, 0.1)
    result = adjusted(still, recorded)
    assert result.refused
    assert not result.kept_N.any()
    for frame, pose in zip(result.sparse.frames, recorded, strict=True):
        assert np.array_equal(frame.T_map_camera.position, pose.position)


def test_m03_one_frame_is_refused(walked):
    alone = replace(walked, poses=walked.poses[:1], found=views(walked.poses[:1]).found)
    assert adjusted(alone, alone.poses).refused


def test_m05_a_wrong_lens_is_found(walked):
    stated = replace(CAMERA, fx=CAMERA.fx * 1.1, fy=CAMERA.fy * 1.1, distortion_model="none", distortion=())
    result = adjusted(walked, noisy(walked.poses, 0.02, 0.5), stated)
    assert result.lens_after.fx == pytest.approx(CAMERA.fx, rel=0.01)
    assert result.lens_after.distortion[0] == pytest.approx(-0.1, abs=0.02)
    assert "adjusted to the images" in result.lens_after.source
    assert errors(result, walked.poses)[0] < 0.015
    assert "these images fit f = 5" in result.warnings[0]


def test_m05_a_wrong_lens_that_is_kept_is_warned_about(walked):
    stated = replace(CAMERA, fx=CAMERA.fx * 1.05, fy=CAMERA.fy * 1.05)
    result = adjusted(walked, noisy(walked.poses, 0.02, 0.5), stated, lens="keep")
    assert result.lens_after == stated
    assert "these images fit f = 5" in result.warnings[0]
    fitting = float(result.warnings[0].split("f = ")[1].split(" ")[0])
    assert fitting == pytest.approx(CAMERA.fx, rel=0.015)


def test_a_turned_mount_is_estimated_where_the_motion_shows_it(walked):
    mount = Pose([0.04, -0.02, 0.03], [0.9995, 0.02, -0.02, 0.01])
    result = adjusted(walked, noisy([pose @ mount for pose in walked.poses], 0.003, 0.1))
    assert result.offset.position_decided
    assert result.offset.rotation_decided
    back = result.offset.T_body_camera @ mount
    assert np.linalg.norm(back.position) < 0.01
    assert rotation_angle_deg(back.orientation, np.array([1.0, 0, 0, 0])) < 0.3


def test_the_same_seed_gives_the_same_result(walked):
    recorded = noisy(walked.poses, 0.03, 0.5)
    first, second = (adjusted(walked, recorded) for _ in range(2))
    assert np.array_equal(first.sparse.point_P3, second.sparse.point_P3)
    assert first.lens_after == second.lens_after


def test_m02_where_the_adjustment_is_refused_the_recorded_poses_have_points_for_depth(walked):
    found = walked.found
    few = [match for match in found.matches if max(match.first, match.second) < 20]
    recorded = noisy(walked.poses, 0.002, 0.05)
    result = adjusted(replace(walked, found=replace(found, matches=few)), recorded)
    assert "half of them are needed" in result.refused
    assert not result.kept_N.any() and result.lens_after == CAMERA and not result.moved_m_N.any()
    assert not (result.offset.position_decided or result.offset.rotation_decided or result.offset.seconds_decided)
    assert min(len(frame.point_K) for frame in result.sparse.frames[:20]) > 30
    lens = Lens.of(CAMERA)
    for frame in result.sparse.frames[:20]:
        T = frame.T_map_camera
        pixel_K2 = lens.project((result.sparse.point_P3[frame.point_K] - T.position) @ T.rotation_33)
        assert np.median(np.linalg.norm(pixel_K2 - frame.pixel_K2, axis=1)) < 2


def test_m02_a_frame_that_keeps_its_recorded_pose_is_freed_of_the_offset_of_all(walked):
    found = walked.found
    few = [replace(m, index_K2=m.index_K2[:1]) if 20 in (m.first, m.second) else m for m in found.matches]
    poor = replace(walked, found=replace(found, matches=few))
    lever = Pose([0.15, 0, 0], [1, 0, 0, 0])
    images = poor.images([pose @ lever for pose in noisy(walked.poses, 0.002, 0.1)])
    result = adjust_tracks(images, Lens.of(CAMERA), poor.found, AdjustOptions())
    assert result.offset.position_decided and not result.kept_N[20]
    poses = mapped_poses(Scene("made", images), images, result, LabelChoice("adjusted", "made"))
    away = [np.linalg.norm(poses.adjusted[i.name].position - p.position) for i, p in zip(images, walked.poses)]
    assert np.linalg.norm(images[20].pose.position - walked.poses[20].position) > 0.14
    assert away[20] < 0.03
    # With the mount that the data set states, its label is that pose, too.
    assert poses.T_pose_camera is not None
    label = labelled(poses.chosen[images[20].name], poses.T_pose_camera)
    assert np.linalg.norm(label.position - images[20].pose.position) < 0.01


def test_m01_a_map_far_from_its_origin_is_adjusted_as_well(walked):
    """As in a national grid: east and north in metres, of which formats allow a million."""
    grid_3 = np.array([4.0e5, 8.2e5, 300.0])
    exact = [moved(pose, grid_3, [0, 0, 0]) for pose in walked.poses]
    recorded = noisy(exact, 0.02, 0.5)
    result = adjusted(walked, recorded)
    assert not result.refused and result.sparse.frames[0].image.pose is recorded[0]
    position, true = stack([frame.T_map_camera for frame in result.sparse.frames])[0], stack(exact)[0]
    assert np.median(np.linalg.norm(position - true, axis=1)) < 0.015
    assert np.linalg.norm(np.median(result.sparse.point_P3, axis=0) - grid_3) < 5
    assert result.after_px < 0.6

"""Parts of an adjustment against exact ground truth: lenses, points, tracks, pairs and the recording's errors."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_views import CAMERA, PERIOD, noisy, views, walk

from transposenet_core.geometry.intrinsics import Intrinsics
from transposenet_core.geometry.pose import stack
from transposenet_core.mapping.adjust import pairs, recorded
from transposenet_core.mapping.adjust.bundle import Cameras, Observations
from transposenet_core.mapping.adjust.lens import Lens, pixel_difference
from transposenet_core.mapping.adjust.matching import Match, verified
from transposenet_core.mapping.adjust.recorded import Recording
from transposenet_core.mapping.adjust.tracks import join, once_a_frame, select
from transposenet_core.mapping.adjust.triangulation import triangulate

LENSES = {
    "none": ("none", ()),
    "plumb_bob": ("plumb_bob", (-0.25, 0.08, 0.001, -0.002, 0.0)),
    "k3": ("plumb_bob", (-0.25, 0.08, 0.001, -0.002, 0.01)),
    "rational": ("rational_polynomial", (0.4, 0.1, 0.001, -0.002, 0.02, 0.5, 0.2, 0.03)),
    "fisheye": ("equidistant", (-0.02, 0.01, -0.003, 0.001)),
}


def lens_of(name: str) -> Lens:
    model, coefficients = LENSES[name]
    return Lens.of(Intrinsics(640, 480, 420.0, 425.0, 322.0, 238.0, "made", None, model, coefficients))


def cameras_of(poses) -> Cameras:
    return Cameras(stack(poses)[0], np.array([pose.rotation_33 for pose in poses]))


@pytest.mark.parametrize("name", LENSES)
def test_a_lens_projects_like_opencv_and_its_rays_lead_back(name):
    lens = lens_of(name)
    rng = np.random.default_rng(0)
    point_K3 = np.column_stack([rng.uniform(-0.7, 0.7, 200), rng.uniform(-0.5, 0.5, 200), np.ones(200)])
    project = cv2.fisheye.projectPoints if name == "fisheye" else cv2.projectPoints
    bent = np.array(LENSES[name][1]) if LENSES[name][1] else np.zeros(4)
    arguments = (point_K3[:, None], np.zeros(3), np.zeros(3), lens.stated.matrix_33, bent)
    pixel_K2 = lens.project(point_K3)
    assert np.allclose(pixel_K2, project(*arguments)[0][:, 0], atol=1e-6)
    ray_K3 = lens.rays(pixel_K2)
    assert np.allclose(ray_K3 / ray_K3[:, 2:], point_K3, atol=1e-5)
    assert lens.intrinsics() == lens.stated


def test_an_adjusted_lens_comes_back_as_intrinsics_that_say_so():
    lens = lens_of("none")
    changed = lens.with_params(lens.params_Q + np.array([3, 3, 0, 0, -0.1, 0, 0, 0]))
    found = changed.intrinsics()
    assert (found.distortion_model, found.rectified) == ("plumb_bob", False)
    assert found.distortion == (-0.1, 0, 0, 0, 0)
    assert np.array_equal(Lens.of(found).params_Q, changed.params_Q)
    assert pixel_difference(lens, lens) < 1e-3
    assert pixel_difference(lens, changed) > 1


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.integers(2, 7), st.floats(0.5, 200))
def test_rays_that_meet_give_their_point(seed, rays, distance):
    rng = np.random.default_rng(seed)
    point_3 = rng.normal(size=3)
    point_3 *= distance / np.linalg.norm(point_3)
    centre_O3 = rng.normal(0, 0.2 * distance, (rays, 3))
    ray_O3 = point_3 - centre_O3
    ray_O3 /= np.linalg.norm(ray_O3, axis=1, keepdims=True)
    point_T3, parallax_T = triangulate(np.zeros(rays, int), 1, centre_O3, ray_O3, 0.01)
    if parallax_T[0] > np.radians(2):
        assert np.linalg.norm(point_T3[0] - point_3) < 1e-6 * distance


def test_parallel_rays_and_empty_tracks_have_no_point():
    ray_O3 = np.array([[0, 0, 1.0], [0, 0, 1.0]])
    point_T3, parallax_T = triangulate(np.zeros(2, int), 2, np.zeros((2, 3)), ray_O3, 0.01)
    assert np.isnan(point_T3).all()
    assert not parallax_T.any()


def test_tracks_join_what_pairs_share():
    pixels = [np.arange(6.0).reshape(3, 2)] * 3
    matches = [Match(0, 1, np.array([[0, 1], [2, 2]])), Match(1, 2, np.array([[1, 0]]))]
    seen = join(matches, pixels)
    tracks = {tuple(sorted(seen.frame_O[seen.point_O == p])) for p in np.unique(seen.point_O)}
    assert tracks == {(0, 1, 2), (0, 1)}


def test_a_frame_sees_a_point_once_and_few_observations_are_chosen_over_the_whole_image():
    seen = Observations(np.array([0, 0, 1]), np.zeros(3, int), np.zeros((3, 2)))
    assert once_a_frame(seen, np.array([2.0, 1.0, 5.0])).tolist() == [False, True, True]
    found = views(walk(20)).found
    many = join(found.matches, found.pixels)
    mask_O = select(many, int(many.point_O.max()) + 1, 20, (640, 480), 60)
    assert np.bincount(many.frame_O[mask_O], minlength=20).max() < 130
    assert (np.bincount(many.point_O[mask_O])[np.unique(many.point_O[mask_O])] >= 2).all()


def test_m02_a_motion_that_contradicts_the_recording_is_no_match():
    poses = walk(20)
    found = views(poses, noise_px=0.2).found
    lens = Lens.of(CAMERA)
    match = next(m for m in found.matches if m.second == m.first + 2 and len(m.index_K2) > 40)
    rays = [lens.rays(found.pixels[f][match.index_K2[:, k]]) for k, f in enumerate((match.first, match.second))]
    R_b_a = poses[match.second].rotation_33.T @ poses[match.first].rotation_33
    kept = verified(match.index_K2, *rays, 520.0, 640, (R_b_a, 25.0))
    assert len(kept) > 0.8 * len(match.index_K2)
    rotated = R_b_a @ cv2.Rodrigues(np.array([0, 0.8, 0]))[0]
    assert not len(verified(match.index_K2, *rays, 520.0, 640, (rotated, 25.0)))


def test_pairs_grow_with_the_frames_alone():
    counts = []
    for frames in (100, 400):
        poses = walk(frames)
        cameras = cameras_of(poses)
        found = pairs.by_overlap(cameras, Lens.of(CAMERA), np.full(frames, 3.0), set(), np.random.default_rng(0))
        share_M, angle_M = pairs.overlap(found, cameras, Lens.of(CAMERA), np.full(frames, 3.0))
        assert (share_M >= pairs.LEAST_OVERLAP).all()
        assert (angle_M <= np.radians(pairs.WIDEST_ANGLE_DEG)).all()
        counts.append(len(found) / frames)
    assert counts[1] < 1.5 * counts[0]
    assert max(counts) <= pairs.OVERLAPPING


def test_scale_time_and_noise_of_a_recording_are_estimated():
    poses = walk(300)
    recording = Recording.of(replace(views(poses[:2]), poses=poses).images(noisy(poses, 0.01, 0.2)))
    exact = cameras_of(poses)
    faults_14 = np.zeros(14)
    faults_14[recorded.LOG_SCALE], faults_14[recorded.TIME] = np.log(1.05), 0.4 * PERIOD
    late = recorded.predicted(faults_14, exact, recorded.velocities(exact, recording))
    noise_N3 = recording.cameras.position_N3 - exact.position_N3
    noise_N33 = recording.cameras.rotation_N33 @ exact.rotation_N33.transpose(0, 2, 1)
    faulty = replace(recording, cameras=Cameras(late.position_N3 + noise_N3, noise_N33 @ late.rotation_N33))
    model = recorded.fit(exact, faulty, np.ones(300, bool), faulty.spread)
    assert model.scale == pytest.approx(1.05, abs=0.003)
    assert model.parameter_14[13] == pytest.approx(0.4 * PERIOD, abs=0.1 * PERIOD)
    assert model.position_sigma == pytest.approx(0.01, rel=0.2)
    assert model.rotation_sigma == pytest.approx(np.radians(0.2), rel=0.2)
    assert model.position_frames < 1.5
    assert not model.parameter_14[recorded.LEVER].any()
    expected = recorded.prior_of(model, recorded.in_the_recordings_frame(model.parameter_14, exact), faulty, None)
    scaled_N3 = model.scale * exact.position_N3
    assert np.median(np.linalg.norm(expected.cameras.position_N3 - scaled_N3, axis=1)) < 0.03


def test_what_a_fisheye_does_not_see_does_not_tell_lenses_apart():
    """Its image is a circle of 90 degrees to all sides; no line of sight leads to the corners."""
    lens = Lens.of(Intrinsics(640, 480, 200.0, 200.0, 319.5, 239.5, "made", None, "equidistant", (0.01, 0, 0, 0)))
    longer = lens.with_params(lens.params_Q * np.r_[1.001, 1.001, np.ones(6)])
    assert pixel_difference(lens, lens) < 1e-6
    assert 0.01 < pixel_difference(lens, longer) < 0.4

"""Markers in numbers: axes of the training poses, the camera, and an ellipsoid that is its covariance."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from builtin_interfaces.msg import Time
from scipy.spatial.transform import Rotation
from visualization_msgs.msg import Marker

from transposenet_core.estimate import Estimate
from transposenet_core.geometry.pose import Pose
from transposenet_core.localizer import Localizer
from transposenet_core.scene_model import KnownFrames, MappedScene
from transposenet_ros.output.scene_markers import MAX_TRAINING_POSES, SIGMAS_95, SceneMarkers

ROTATION = Rotation.from_euler("xyz", [20, -35, 70], degrees=True)
POSE = Pose(np.array([1.0, -2.0, 0.5]), ROTATION.as_quat(scalar_first=True))
STAMP = Time(sec=7, nanosec=8)


def estimate(covariance_33: np.ndarray, localized: bool = True) -> Estimate:
    covariance_66 = np.eye(6)
    covariance_66[:3, :3] = covariance_33
    return Estimate(POSE, covariance_66, localized, "" if localized else "out_of_scene", "office", "map")


def scene_with(localizer: Localizer, count: int) -> MappedScene:
    positions_N3 = np.linspace((0, 0, 0), (3, 4, 0), count)  # 5 m apart at the ends
    orientations_N4 = np.tile(POSE.orientation, (count, 1))
    (scene,) = localizer.scene_model.scenes
    return dataclasses.replace(scene, frames=KnownFrames.trained_on(positions_N3, orientations_N4))


def points_of(marker: Marker) -> np.ndarray:
    return np.array([(p.x, p.y, p.z) for p in marker.points])


def test_training_poses_are_axes_red_green_blue_along_their_frame(localizer: Localizer) -> None:
    training, *_ = SceneMarkers(scene_with(localizer, 2), "map").message(None, STAMP).markers
    assert (training.ns, training.type, training.header.frame_id) == ("training", Marker.LINE_LIST, "map")
    lines = points_of(training).reshape(2, 3, 2, 3)  # pose, axis, end, coordinate
    np.testing.assert_allclose(lines[1, :, 0], [(3, 4, 0)] * 3)
    np.testing.assert_allclose((lines[1, :, 1] - lines[1, :, 0]).T, 0.02 * 5 * POSE.rotation_33, atol=1e-12)
    strongest = [int(np.argmax((c.r, c.g, c.b))) for c in training.colors[::2]]
    assert strongest == [0, 1, 2, 0, 1, 2]


def test_training_poses_are_thinned_from_the_first_to_the_last(localizer: Localizer) -> None:
    training, *_ = SceneMarkers(scene_with(localizer, 1001), "map").message(None, STAMP).markers
    starts = points_of(training)[::6]
    assert len(starts) == MAX_TRAINING_POSES
    np.testing.assert_allclose(starts[[0, -1]], [(0, 0, 0), (3, 4, 0)])


def test_the_ellipsoid_is_the_covariance_of_the_position(localizer: Localizer) -> None:
    covariance_33 = ROTATION.as_matrix() @ np.diag([0.04, 0.01, 0.25]) @ ROTATION.as_matrix().T
    *_, camera, ellipsoid = (
        SceneMarkers(scene_with(localizer, 2), "map").message(estimate(covariance_33), STAMP).markers
    )
    assert (ellipsoid.type, ellipsoid.action, ellipsoid.header.stamp) == (Marker.SPHERE, Marker.ADD, STAMP)
    q, size = ellipsoid.pose.orientation, ellipsoid.scale
    axes_33 = Rotation.from_quat([q.x, q.y, q.z, q.w]).as_matrix()
    deviations = np.array([size.x, size.y, size.z]) / 2 / SIGMAS_95
    np.testing.assert_allclose(axes_33 @ np.diag(deviations**2) @ axes_33.T, covariance_33, atol=1e-9)
    centre = ellipsoid.pose.position
    assert (centre.x, centre.y, centre.z) == tuple(POSE.position)
    np.testing.assert_allclose(points_of(camera)[::2], [POSE.position] * 3)


def test_95_percent_of_the_positions_are_within_the_ellipsoid() -> None:
    samples = np.random.default_rng(3).normal(size=(200_000, 3))
    assert np.mean(np.linalg.norm(samples, axis=1) < SIGMAS_95) == pytest.approx(0.95, abs=0.002)


def test_without_an_estimate_the_last_one_is_deleted(localizer: Localizer) -> None:
    markers = SceneMarkers(scene_with(localizer, 2), "map")
    for lost in (None, estimate(np.eye(3), localized=False)):
        actions = {marker.ns: marker.action for marker in markers.message(lost, STAMP).markers}
        assert actions == {"training": Marker.ADD, "camera": Marker.DELETE, "covariance": Marker.DELETE}


def test_a_scene_without_training_poses_deletes_those_of_the_last(localizer: Localizer) -> None:
    training, camera, _ = SceneMarkers(scene_with(localizer, 0), "map").message(estimate(np.eye(3)), STAMP).markers
    assert training.action == Marker.DELETE
    assert np.ptp(points_of(camera), axis=0).max() > 0.1

"""The base's pose and covariance from the camera's, against many sampled noisy cameras."""

import numpy as np
from scipy.spatial.transform import Rotation

from transposenet_core.geometry.pose import Pose
from transposenet_ros.output.base_pose import base_in_map, moved_covariance


def test_the_covariance_is_that_of_many_noisy_cameras() -> None:
    random = np.random.default_rng(0)
    T_map_camera = Pose(np.array([1.0, 2.0, 0.5]), Rotation.random(rng=1).as_quat(scalar_first=True))
    T_camera_base = Pose(np.array([0.1, 0.6, -0.8]), Rotation.random(rng=2).as_quat(scalar_first=True))
    covariance_66 = np.diag(np.square([0.03, 0.02, 0.04, 0.01, 0.02, 0.015]))
    T_map_base, expected_66 = base_in_map(T_map_camera, covariance_66, T_camera_base)
    errors = []
    for position_3, rotation_3 in zip(*np.split(random.normal(size=(20000, 6)), 2, axis=1), strict=True):
        position_3, rotation_3 = position_3 * [0.03, 0.02, 0.04], rotation_3 * [0.01, 0.02, 0.015]
        rotated = Rotation.from_rotvec(rotation_3) * Rotation.from_matrix(T_map_camera.rotation_33)
        lever = rotated.apply(T_camera_base.position)
        errors.append([*(T_map_camera.position + position_3 + lever - T_map_base.position), *rotation_3])
    np.testing.assert_allclose(np.cov(np.array(errors).T), expected_66, atol=5e-5)


def test_without_a_lever_nothing_changes() -> None:
    covariance_66 = np.diag([1.0, 2.0, 3.0, 4.0, 5.0, 6.0])
    np.testing.assert_array_equal(moved_covariance(covariance_66, np.zeros(3)), covariance_66)

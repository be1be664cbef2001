"""Attention on request: the maps of both encoders, and the same pose with and without them. Poses of another body."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from untrained import save_untrained, with_scene

from transposenet_core.estimate import Estimate
from transposenet_core.geometry.pose import Pose
from transposenet_core.localizer import Localizer
from transposenet_core.preprocessing import Preprocessing

IMAGES = np.random.default_rng(2).integers(0, 256, (4, 60, 80, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def localizer(tmp_path_factory: pytest.TempPathFactory) -> Localizer:
    folder = tmp_path_factory.mktemp("model") / "textures"
    return Localizer(save_untrained(folder, IMAGES, Preprocessing(64, (64, 80))), device="cpu")


def test_attention_is_there_on_request_alone_and_changes_no_pose(localizer: Localizer) -> None:
    plain, asked = (localizer.localize(IMAGES[0], with_attention=wanted) for wanted in (False, True))
    assert plain.attention == {}
    assert plain.pose is not None and asked.pose is not None
    np.testing.assert_array_equal(asked.pose.position, plain.pose.position)
    np.testing.assert_array_equal(asked.pose.orientation, plain.pose.orientation)
    assert {name: map_HW.shape for name, map_HW in asked.attention.items()} == {
        "position": (4, 5),  # reduction level 4 of a 64x80 window
        "orientation": (8, 10),
    }
    for map_HW in asked.attention.values():
        assert map_HW.dtype == np.float32 and map_HW.min() >= 0 and 0 < map_HW.sum() <= 1


def test_attention_follows_the_image(localizer: Localizer) -> None:
    first, second = (localizer.localize(image_HW3, with_attention=True).attention for image_HW3 in IMAGES[:2])
    for name in ("position", "orientation"):
        assert np.abs(first[name] - second[name]).max() > 1e-6, name


def test_the_pose_is_the_labelled_bodys_where_that_is_not_the_camera(tmp_path, localizer: Localizer) -> None:
    model = localizer.scene_model
    T_pose_camera = Pose(np.array([0.1, -0.2, 0.3]), np.array([0.8, 0.3, -0.4, 0.1]))
    with_scene(model, T_pose_camera=T_pose_camera).save(tmp_path / "mounted")
    camera, labelled = (each.localize(IMAGES[0]) for each in (localizer, Localizer(tmp_path / "mounted", device="cpu")))
    assert camera.pose is not None and labelled.pose is not None
    np.testing.assert_allclose((labelled.pose @ T_pose_camera).matrix_44, camera.pose.matrix_44, atol=1e-6)
    assert np.trace(labelled.covariance_66[:3, :3]) > np.trace(camera.covariance_66[:3, :3])


def test_the_covariance_is_moved_along_the_lever() -> None:
    """Against poses sampled around a camera's: position and rotation vector in map axes."""
    rng = np.random.default_rng(0)
    A = rng.normal(size=(6, 6)) * 0.01
    camera = Pose(np.array([1.0, 2.0, 3.0]), np.array([0.5, -0.5, 0.2, 0.4]))
    T_pose_camera = Pose(np.array([0.5, -1.0, 2.0]), np.array([0.8, 0.3, -0.4, 0.1]))
    estimate = Estimate(camera, A @ A.T, True, "", "scene", "map").of_the_labelled(T_pose_camera)
    labelled, covariance_66 = estimate.pose, estimate.covariance_66
    assert labelled is not None
    steps = []
    for step_6 in rng.normal(size=(4000, 6)) @ A.T:
        rotation = Rotation.from_rotvec(step_6[3:]) * Rotation.from_quat(camera.orientation, scalar_first=True)
        moved = Pose(camera.position + step_6[:3], rotation.as_quat(scalar_first=True)) @ T_pose_camera.inverse()
        rotated = Rotation.from_matrix(moved.rotation_33 @ labelled.rotation_33.T).as_rotvec()
        steps.append([*(moved.position - labelled.position), *rotated])
    np.testing.assert_allclose(np.cov(np.array(steps).T), covariance_66, atol=0.06 * covariance_66.diagonal().max())

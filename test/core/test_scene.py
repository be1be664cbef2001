"""What a scene says of the camera itself, where its poses are another body's."""

from dataclasses import replace
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from transposenet_core.geometry.covariance import error_vectors
from transposenet_core.geometry.pose import Pose
from transposenet_core.scene import PosedImage, Scene


def test_the_covariance_of_a_body_becomes_that_of_the_camera_on_it() -> None:
    """By what small errors of the body's pose do to the camera's."""
    rng = np.random.default_rng(0)
    body, mount = (Pose(rng.normal(0, 1, 3), rng.normal(0, 1, 4)) for _ in range(2))
    root_66 = rng.normal(0, 0.1, (6, 6))
    image = PosedImage("a.png", Path("a.png"), body, "train", "a", 0.0, covariance_66=root_66 @ root_66.T)
    plain = replace(image, covariance_66=None)
    seen, without = Scene("made", [image, plain], T_pose_camera=mount).of_the_camera().images
    columns = []
    for error_6 in 1e-6 * np.eye(6):
        rotated = Rotation.from_rotvec(error_6[3:]) * Rotation.from_quat(body.orientation, scalar_first=True)
        off = Pose(body.position + error_6[:3], rotated.as_quat(scalar_first=True))
        columns.append(error_vectors([off @ mount], [body @ mount])[0] / 1e-6)
    J_66 = np.array(columns).T
    assert seen.covariance_66 is not None and without.covariance_66 is None
    np.testing.assert_allclose(seen.covariance_66, J_66 @ image.covariance_66 @ J_66.T, rtol=1e-4, atol=1e-5)

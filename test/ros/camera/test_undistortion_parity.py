"""A model of rectified images is trained on those that the node makes of a live lens: the same, bit by bit."""

from dataclasses import replace

import numpy as np
import pytest
from sensor_msgs.msg import CameraInfo

from transposenet_core.geometry.intrinsics import Intrinsics
from transposenet_core.geometry.undistortion import Undistorter
from transposenet_ros.camera.camera_check import CameraCheck

CAMERA = Intrinsics(160, 120, 110.0, 115.0, 77.0, 62.5, "calibration")
LENSES = {
    "plumb_bob": (-0.28, 0.07, 0.0012, -0.0019, 0.01),
    "rational_polynomial": (0.1, -0.05, 0.001, 0.002, 0.003, 0.3, -0.02, 0.004),
    "equidistant": (-0.02, 0.01, -0.006, 0.001),
}


@pytest.mark.parametrize("with_projection", [True, False])
@pytest.mark.parametrize("lens", LENSES)
def test_training_and_node_rectify_alike(lens: str, with_projection: bool) -> None:
    undistorter = Undistorter(replace(CAMERA, distortion_model=lens, distortion=LENSES[lens]))
    K_33 = CAMERA.matrix_33
    info = CameraInfo(width=160, height=120, distortion_model=lens, d=list(LENSES[lens]), k=K_33.ravel().tolist())
    info.r = np.eye(3).ravel().tolist()
    if with_projection:
        info.p = np.hstack([K_33, np.zeros((3, 1))]).ravel().tolist()
    check = CameraCheck(undistorter.rectified, "refuse")
    assert not check.update(info).refused
    image_HW3 = np.random.default_rng(4).integers(0, 256, (120, 160, 3), dtype=np.uint8)
    corrected_HW3 = check.correct(image_HW3)
    np.testing.assert_array_equal(corrected_HW3, undistorter(image_HW3))
    assert (corrected_HW3 != image_HW3).mean() > 0.5

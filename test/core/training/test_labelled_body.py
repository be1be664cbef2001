"""Labels of another body on the camera's mount: the network learns the camera's poses, the output is the body's."""

from pathlib import Path

import cv2
import numpy as np
from overfit import arguments
from training_runs import train

from transposenet_core.formats import load_scene
from transposenet_core.image_files import read_image
from transposenet_core.localizer import Localizer


def test_the_network_learns_the_camera_and_returns_the_labelled_body(small_scene: Path, tmp_path: Path) -> None:
    T_colour_depth = np.eye(4)
    T_colour_depth[:3, 3] = 0.5, -1, 2
    np.savetxt(small_scene / "depth-to-colour.txt", T_colour_depth)
    cv2.imwrite(str(small_scene / "seq-01/frame-000000.depth.png"), np.full((60, 80), 1500, np.uint16))
    out = tmp_path / "out"
    assert train(arguments("retrieval", small_scene, out, "epochs=1", "model.options.neighbours=1")) == 0
    localizer, scene = Localizer(out, device="cpu"), load_scene(f"7scenes:{small_scene}")
    assert scene.T_pose_camera is not None
    learnt = localizer.scene_model.network.state_dict()["positions_N3"].numpy()
    expected = [image.pose.position for image in scene.of_the_camera().select("train")]
    np.testing.assert_allclose(sorted(learnt.tolist()), sorted(np.array(expected).tolist()), atol=1e-5)
    for image in scene.select("train"):
        pose = localizer.localize(read_image(image.path)).pose
        assert pose is not None
        np.testing.assert_allclose(pose.matrix_44, image.pose.matrix_44, atol=1e-4)
    np.testing.assert_allclose(
        localizer.scene_model.scenes[0].training_positions_N3,
        [i.pose.position for i in scene.select("train")],
        atol=1e-5,
    )

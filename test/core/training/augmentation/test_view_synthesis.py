"""Depth-based view synthesis: image and depth of a moved camera are those rendered from there."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from rendered_room import CAMERA, HEIGHT, ROTATION, TRANSLATION, WIDTH, one_camera, posed
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation

from transposenet_core.errors import UserError
from transposenet_core.geometry.intrinsics import Intrinsics
from transposenet_core.geometry.pose import Pose
from transposenet_core.preprocessing import Preprocessing, mean_colour, normalise
from transposenet_core.scene import Scene
from transposenet_core.training.augmentation.view_synthesis import moved_views
from transposenet_core.training.augmentation.views import RANDOM_NUMBERS, RECORDED, views_of_scene
from transposenet_core.training.config import AugmentationConfig, VirtualRotationConfig
from transposenet_core.training.data.depth import check_depth, registered_depth
from transposenet_core.training.data.pixels import PosedPixels


def moved(room: Path, rotation: Rotation, translation: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    image = torch.from_numpy(cv2.imread(str(room / "0.png")).astype(np.float32)).permute(2, 0, 1)[None] + 1
    depth = torch.from_numpy(registered_depth(posed(room), one_camera(), CAMERA))[None]
    quaternion = torch.from_numpy(rotation.as_quat(scalar_first=True)).float()[None]
    size = (HEIGHT - 40, WIDTH - 40)
    view, z, _ = moved_views(image, depth, quaternion, torch.from_numpy(translation).float()[None], CAMERA, size)
    return view[0].permute(1, 2, 0).numpy() - 1, z[0].numpy()


def test_the_moved_image_is_the_rendered_one(room: Path) -> None:
    expected = cv2.imread(str(room / "1.png")).astype(np.float32)[20:-20, 20:-20]
    expected_z = cv2.imread(str(room / "1.depth.png"), cv2.IMREAD_UNCHANGED)[20:-20, 20:-20] / 1000
    view, z = moved(room, ROTATION, TRANSLATION)
    known = z > 0
    assert known.mean() > 0.6
    differences = np.abs(view - expected).mean(axis=-1)[known]
    off = np.abs(z - expected_z)[known]
    print(f"known {known.mean():.2f}, median {np.median(differences):.2f} grey levels, depth {np.median(off):.4f} m")
    assert np.median(differences) < 4 and np.mean(differences) < 12
    assert np.median(off) < 0.01 and np.mean(off > 0.1) < 0.03
    # Moved the other way the image differs.
    wrong, wrong_z = moved(room, ROTATION.inv(), -TRANSLATION)
    assert np.median(np.abs(wrong - expected).mean(axis=-1)[wrong_z > 0]) > 3 * np.median(differences)


def test_a_camera_that_stays_sees_the_same(room: Path) -> None:
    view, z = moved(room, Rotation.identity(), np.zeros(3))
    original = cv2.imread(str(room / "0.png")).astype(np.float32)[20:-20, 20:-20]
    np.testing.assert_allclose(view, original, atol=0.1)
    depth = cv2.imread(str(room / "0.depth.png"), cv2.IMREAD_UNCHANGED)[20:-20, 20:-20] / 1000
    np.testing.assert_allclose(z, depth, rtol=1e-3)


def test_what_was_hidden_or_beyond_the_border_is_nothing() -> None:
    """A near wall before a far one: from the right, what it hid is neither shown nor known."""
    depth = torch.full((1, 60, 80), 3.0, dtype=torch.float16)
    depth[:, :, :30] = 1
    camera = Intrinsics(80, 60, 80.0, 80.0, 39.5, 29.5)
    image = torch.where(depth[:, None] == 1, 50.0, 200.0).expand(1, 3, 60, 80)
    still = torch.tensor([[1.0, 0, 0, 0]])
    view, z, _ = moved_views(image, depth, still, torch.tensor([[0.25, 0.0, 0.0]]), camera, (60, 80))
    # The near edge moves by 20 columns, the far wall by 6.7: between them lies what nobody saw.
    row, z = view[0, 0, 30], z[0, 30]
    assert (row[:9] == 50).all() and (z[:9] == 1).all()
    assert (z[13:21] == 0).all() and (row[13:21] == 0).all()
    assert (row[25:70] == 200).all() and (z[25:70] == 3).all()
    assert (row[75:] == 0).all() and (z[75:] == 0).all()


def test_depth_is_brought_to_the_colour_camera(room: Path) -> None:
    """The depth camera sits 10 cm to the left: points move by f * 0.1 / z to the left in the colour image."""
    original = cv2.imread(str(room / "0.depth.png"), cv2.IMREAD_UNCHANGED)
    same = registered_depth(posed(room), one_camera(), CAMERA)
    np.testing.assert_allclose(same[original > 0], original[original > 0] / 1000, rtol=5e-4)
    translated = registered_depth(posed(room), one_camera(Pose([-0.1, 0, 0], [1, 0, 0, 0])), CAMERA)
    rows, columns = np.mgrid[20:220:7, 100:300:7]
    z = original[rows, columns]
    there = np.rint(columns - CAMERA.fx * 0.1 / (z / 1000)).astype(int)
    found = translated[rows, there].astype(float)
    assert np.mean(np.abs(np.abs(found) - z / 1000) < 0.04) > 0.85
    # A smaller depth image is the same camera's, sampled less often: nothing is invented as measured.
    cv2.imwrite(str(room / "2.depth.png"), original[::2, ::2])
    halved = registered_depth(posed(room, 2), one_camera(), CAMERA)
    same = np.isclose(halved[::2, ::2], original[::2, ::2] / 1000, rtol=5e-4)
    assert (halved > 0).mean() < 0.3 and same.mean() > 0.99
    assert np.median(np.abs(np.abs(halved.astype(float)) - original / 1000)) < 0.005


def test_missing_or_wrong_depth_is_refused(room: Path, tmp_path: Path) -> None:
    scene = Scene("yard", [replace(posed(room), depth_path=None)], intrinsics=CAMERA)
    with pytest.raises(UserError, match="has no depth images, which model scene_coordinates needs"):
        check_depth(scene, "model scene_coordinates")
    scene = Scene("yard", [posed(room)], intrinsics=CAMERA, depth_camera=one_camera())
    check_depth(scene, "model scene_coordinates")
    scene.intrinsics = None  # a depth camera would not help
    with pytest.raises(UserError, match="has no intrinsics, which .* needs; give those of its camera"):
        check_depth(scene, "model scene_coordinates")
    scene = Scene("yard", [posed(room)], intrinsics=CAMERA)
    with pytest.raises(UserError, match="has no intrinsics of its depth images, which .*depth_camera.json"):
        check_depth(scene, "model scene_coordinates")
    (tmp_path / "0.depth.png").write_bytes((room / "0.png").read_bytes())
    with pytest.raises(UserError, match=r"0\.depth\.png: not a depth image"):
        registered_depth(posed(tmp_path), one_camera(), CAMERA)


def test_the_label_goes_with_the_view(room: Path) -> None:
    """Each known pixel of a made view, lifted by its depth and label, lies on a measured point of the old one."""
    old = posed(room)
    orientation = torch.tensor([[0.5, -0.5, 0.5, 0.5]])
    depth_HW = registered_depth(old, one_camera(), CAMERA)
    image = torch.from_numpy(cv2.imread(str(old.path))).permute(2, 0, 1)[None].contiguous()
    position = torch.tensor([[1.0, 2.0, 3.0]])
    pixels = PosedPixels(image, position, orientation, CAMERA, torch.from_numpy(depth_HW)[None])
    rotation = VirtualRotationConfig(yaw=8.0, pitch=6.0, roll=6.0)
    config = AugmentationConfig(
        random_crop=False, colour_jitter=0.0, virtual_rotation=rotation, virtual_translation=0.2
    )
    random_numbers = torch.full((1, RANDOM_NUMBERS), 0.9)
    views = views_of_scene(pixels, torch.tensor([0]), random_numbers, Preprocessing(HEIGHT, (HEIGHT, WIDTH)), config)

    def lifted(depth: np.ndarray, place: Pose) -> np.ndarray:
        rows, columns = np.nonzero(depth > 0)
        z = depth[rows, columns]
        ray = np.stack(((columns - CAMERA.cx) / CAMERA.fx, (rows - CAMERA.cy) / CAMERA.fy, np.ones(len(z))), axis=1)
        return ray * z[:, None] @ place.rotation_33.T + place.position

    here = Pose(views.position_B3[0].numpy(), views.orientation_B4[0].numpy())
    assert np.linalg.norm(here.position - [1, 2, 3]) == pytest.approx(0.16 * np.sqrt(3), abs=1e-6)
    made = lifted(views.depth_BHW[0].numpy(), here)
    measured = lifted(depth_HW.astype(float), Pose([1, 2, 3], orientation[0].numpy()))
    distances = cKDTree(measured).query(made)[0]
    assert np.median(distances) < 0.01 and np.mean(distances > 0.05) < 0.02


def test_some_views_stay_as_they_were_recorded(room: Path) -> None:
    old = posed(room)
    depth_HW = torch.from_numpy(registered_depth(old, one_camera(), CAMERA))
    image = torch.from_numpy(cv2.imread(str(old.path))).permute(2, 0, 1)[None].contiguous()
    position, orientation = torch.tensor([[1.0, 2.0, 3.0]]), torch.tensor([[0.5, -0.5, 0.5, 0.5]])
    pixels = PosedPixels(image, position, orientation, CAMERA, depth_HW[None])
    rotation, preprocessing = (
        VirtualRotationConfig(yaw=8.0, pitch=6.0, roll=6.0),
        Preprocessing(HEIGHT, (HEIGHT, WIDTH)),
    )
    random_numbers = torch.full((2, RANDOM_NUMBERS), 0.9)
    random_numbers[:, RECORDED] = torch.tensor([0.29, 0.31])
    both = torch.tensor([0, 0])
    for moved, have in ((0.2, pixels), (0.0, replace(pixels, depth_NHW=None))):
        config = AugmentationConfig(
            colour_jitter=0.0, virtual_rotation=rotation, virtual_translation=moved, as_recorded=0.3
        )
        views = views_of_scene(have, both, random_numbers, preprocessing, config)
        torch.testing.assert_close(views.position_B3[0], position[0], rtol=0, atol=0)
        torch.testing.assert_close(views.orientation_B4[0], orientation[0], rtol=0, atol=0)
        error = (views.image_B3HW[0] - normalise(image)[0]).abs()
        assert error.median() < 1e-3 and error.mean() < 0.02  # what moved_views takes for hidden is not shown
        assert (views.orientation_B4[1] - orientation[0]).abs().max() > 0.02
        assert bool((views.position_B3[1] != position[0]).any()) == (moved > 0)


@pytest.mark.parametrize("yaw", [0.0, 8.0])
def test_empty_parts_do_not_show_the_direction_of_the_camera(yaw: float) -> None:
    """Before a box before a wall: 0.2 m ahead shows as much of both as 0.2 m back, and neither more than staying."""
    camera, size = Intrinsics(80, 60, 80.0, 80.0, 39.5, 29.5), (60, 80)
    depth, image = torch.full((1, 60, 80), 2.0, dtype=torch.float16), torch.full((1, 3, 60, 80), 100, dtype=torch.uint8)
    depth[:, 20:40, 30:50] = 1.2
    pixels = PosedPixels(image, torch.zeros(1, 3), torch.tensor([[1.0, 0, 0, 0]]), camera, depth)
    rotation = VirtualRotationConfig(yaw=2 * yaw)
    config = AugmentationConfig(
        random_crop=False, colour_jitter=0.0, virtual_rotation=rotation, virtual_translation=0.4, view_completion=1.0
    )
    random_numbers = torch.full((3, RANDOM_NUMBERS), 0.5)
    random_numbers[:, 0], random_numbers[:, 9] = 0.75, torch.tensor([0.25, 0.5, 0.75])
    views = views_of_scene(pixels, torch.tensor([0, 0, 0]), random_numbers, Preprocessing(60, size), config)
    assert views.position_B3[:, 2].tolist() == pytest.approx([-0.2, 0.0, 0.2]) and views.depth_BHW is not None
    back, still, ahead = (views.image_B3HW[:, 0] - normalise(mean_colour(image.device))[0, 0]).abs().numpy() > 0.01
    assert ((views.depth_BHW > 0).numpy() & ~np.stack((back, still, ahead))).sum() == 0
    assert still.mean() > (0.99 if yaw == 0 else 0.8)
    assert 0.7 < back.sum() / still.sum() < 0.9  # 2.2 m away the wall is 1 / 1.1 as wide and high
    np.testing.assert_array_equal(back, ahead)

"""Virtual rotation: the warped image is the view of the rotated camera, and the label is its pose."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation
from training_runs import arguments, figures, train

from demo.drives import test_drive
from demo.render import camera_matrix, check_graphics
from transposenet_core.errors import UserError
from transposenet_core.geometry.intrinsics import Intrinsics
from transposenet_core.geometry.pose import Pose, rotation_angle_deg
from transposenet_core.preprocessing import Preprocessing, mean_colour, normalise
from transposenet_core.scene import Scene
from transposenet_core.training.augmentation.views import RANDOM_NUMBERS, views_of_scene
from transposenet_core.training.augmentation.virtual_rotation import (
    _old_pixels,
    for_camera,
    rotated_orientation,
    sampled_rotation,
)
from transposenet_core.training.config import AugmentationConfig, ImageConfig, TrainConfig, VirtualRotationConfig
from transposenet_core.training.data.depth import needs_depth
from transposenet_core.training.data.pixels import PosedPixels

test_drive.__test__ = False
ROOT = Path(__file__).resolve().parents[4]
ROTATIONS = VirtualRotationConfig(yaw=20.0, pitch=13.0, roll=13.0)
ROTATED = AugmentationConfig(random_crop=False, colour_jitter=0.0, virtual_rotation=ROTATIONS)
ROOM = Preprocessing(110, (96, 128))
CAMERA = Intrinsics(101, 75, 83.0, 82.0, 49.0, 39.5)
uniform = st.floats(0, 1, width=32, exclude_max=True)
number = st.floats(-1, 1, width=32)
# In a separate process, as everywhere: the room from one camera and from the same camera, rotated.
RENDER_VIEWS = """
import json, sys
import cv2, numpy as np
from demo.camera_effects import light_at
from demo.render import SEED, VIEW_ANGLE_DEG
from demo.renderer import RoomRenderer
from demo.room import build_room
from transposenet_core.geometry.pose import Pose
renderer = RoomRenderer(build_room(SEED), (320, 240), VIEW_ANGLE_DEG)
for k, matrix in enumerate(json.loads(sys.argv[2])):
    cv2.imwrite(f"{sys.argv[1]}/{k}.png", renderer.render(Pose.from_matrix(np.array(matrix)), light_at(1, 0.0)))
"""


def pixels_of(image_N3HW: torch.Tensor, camera: Intrinsics, orientation: list[float] | None = None) -> PosedPixels:
    count = len(image_N3HW)
    quaternion = torch.tensor(orientation or [1.0, 0, 0, 0]).expand(count, 4)
    return PosedPixels(image_N3HW, torch.zeros(count, 3), quaternion, camera)


def views(pixels: PosedPixels, random_BK: torch.Tensor, preprocessing: Preprocessing, config: AugmentationConfig):
    return views_of_scene(pixels, torch.arange(len(pixels)), random_BK, preprocessing, config)


@given(st.tuples(uniform, uniform, uniform), st.tuples(number, number, number, number))
def test_the_label_is_the_old_rotation_times_the_virtual_one(random_3: tuple, quaternion: tuple) -> None:
    if np.linalg.norm(quaternion) < 0.1:
        return
    pose = Pose(np.zeros(3), np.array(quaternion))
    rotation = sampled_rotation(torch.tensor([random_3]), ROTATIONS)
    yaw, pitch, roll = (2 * np.array(random_3) - 1) * [ROTATIONS.yaw, ROTATIONS.pitch, ROTATIONS.roll]
    D = Rotation.from_euler("YXZ", [yaw, pitch, roll], degrees=True)
    expected = (Rotation.from_quat(pose.orientation, scalar_first=True) * D).as_quat(scalar_first=True)
    label = rotated_orientation(torch.from_numpy(pose.orientation).float()[None], rotation)[0].double().numpy()
    assert rotation_angle_deg(label, expected) < 1e-4
    assert np.linalg.norm(label) == pytest.approx(1, abs=1e-6) and label[0] >= 0


@given(st.tuples(uniform, uniform, uniform))
def test_a_pixel_of_the_new_view_goes_to_the_old_one_by_K_D_K_inverse(random_3: tuple) -> None:
    rotation = sampled_rotation(torch.tensor([random_3]), ROTATIONS)
    x, y = (t[0].double().numpy() for t in _old_pixels(rotation, CAMERA, (3, 2), (70, 95)))
    K = np.array([[CAMERA.fx, 0, CAMERA.cx], [0, CAMERA.fy, CAMERA.cy], [0, 0, 1]])
    H = K @ Rotation.from_quat(rotation[0].double().numpy(), scalar_first=True).as_matrix() @ np.linalg.inv(K)
    v, u = np.mgrid[3 : 3 + 70, 2 : 2 + 95]
    p = H @ np.stack([u, v, np.ones_like(u)]).reshape(3, -1).astype(float)
    np.testing.assert_allclose(np.stack([x, y]).reshape(2, -1), p[:2] / p[2], atol=2e-4)


def test_the_resized_camera_is_that_of_the_resized_image() -> None:
    """On ramps the value of a pixel is its position, so the resized image shows where pixels go."""
    camera = Intrinsics(240, 180, 200.0, 200.0, 117.3, 88.1)
    ramp = np.broadcast_to(np.arange(240, dtype=np.uint8), (180, 240))
    image = np.stack([ramp, np.broadcast_to(np.arange(180, dtype=np.uint8)[:, None], (180, 240)), ramp], axis=-1)
    resized = Preprocessing(75, (75, 100)).resize(image)
    small = camera.resized(width=resized.shape[2], height=resized.shape[1])
    inside = np.s_[5:-5]
    old_x, old_y = resized[0, 5:-5, inside].double().numpy(), resized[1, inside, 5:-5].double().numpy()
    v, u = np.mgrid[5:70, 5:95]
    np.testing.assert_allclose((u - small.cx) / small.fx, (old_x - camera.cx) / camera.fx, atol=0.51 / 200)
    np.testing.assert_allclose((v - small.cy) / small.fy, (old_y - camera.cy) / camera.fy, atol=0.51 / 200)
    assert np.mean((u - small.cx) / small.fx - (old_x - camera.cx) / camera.fx) == pytest.approx(
        0, abs=0.15 / 200
    )  # half a pixel is 0.5 / 200


@settings(max_examples=20, deadline=None)
@given(st.integers(8, 70), st.integers(8, 70), st.integers(0, 7), st.integers(0, 7))
def test_without_a_rotation_the_view_is_the_centre_crop(
    height: int, width: int, less_high: int, less_wide: int
) -> None:
    image = torch.randint(0, 256, (2, 3, height, width), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    camera = Intrinsics(width, height, 60.3, 61.7, width / 2.1, height / 1.9)
    preprocessing = Preprocessing(1, (height - less_high, width - less_wide))
    pixels = pixels_of(image, camera, [0.5, -0.5, 0.5, 0.5])
    view, _, orientation, *_ = views(pixels, torch.full((2, RANDOM_NUMBERS), 0.5), preprocessing, ROTATED)
    assert (view - normalise(preprocessing.crop(image))).abs().max() <= 1e-6
    torch.testing.assert_close(orientation, pixels.orientation_N4, rtol=0, atol=0)


def test_where_the_old_image_ends_the_network_sees_0() -> None:
    """Rotated right by 18 degrees, the last columns lie beyond the old image's edge; the first do not."""
    image = torch.full((1, 3, 75, 101), 255, dtype=torch.uint8)
    preprocessing = Preprocessing(75, (75, 101))
    random_3 = torch.full((1, RANDOM_NUMBERS), 0.5)
    random_3[:, 0] = 0.95
    view = views(pixels_of(image, CAMERA), random_3, preprocessing, ROTATED)[0][0]
    ray = (np.arange(101) - CAMERA.cx) / CAMERA.fx
    old_x = CAMERA.cx + CAMERA.fx * np.tan(np.arctan(ray) + np.radians(18))
    outside, inside = old_x > 102, (old_x < 99) & (np.arange(101) > 3)
    assert 20 < outside.sum() < 40
    assert view[:, 37, outside].abs().max() <= 1e-6
    white = normalise(torch.full((1, 3, 1, 1), 255, dtype=torch.uint8))[0, :, 0]
    torch.testing.assert_close(view[:, 37, inside], white.expand(3, int(inside.sum())))
    jittered = AugmentationConfig(random_crop=False, colour_jitter=0.5, gamma=0.5, virtual_rotation=ROTATIONS)
    coloured = views(pixels_of(image // 2, CAMERA), random_3, preprocessing, jittered)[0][0]
    assert coloured[:, 37, outside].abs().max() <= 1e-6  # whatever the colours do


def test_the_random_numbers_alone_decide_the_rotation() -> None:
    image = torch.randint(0, 256, (3, 3, 75, 101), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    config = AugmentationConfig(gamma=0.3, virtual_rotation=ROTATIONS)
    preprocessing, pixels = Preprocessing(64, (64, 80)), pixels_of(image, CAMERA)
    random_3 = torch.rand(3, RANDOM_NUMBERS, generator=torch.Generator().manual_seed(1))
    whole, again = (views(pixels, random_3, preprocessing, config) for _ in "12")
    assert all(torch.equal(a, b) for a, b in zip(whole[:3], again[:3], strict=True))
    # One process's share of the batch is the same images.
    share = views_of_scene(pixels, torch.arange(3)[1::2], random_3[1::2], preprocessing, config)
    assert all(torch.equal(a[1::2], b) for a, b in zip(whole[:3], share[:3], strict=True))
    other = views(pixels, random_3.flip(0), preprocessing, config)
    assert (other[0][0] - whole[0][0]).abs().mean() > 0.1 and not torch.equal(other[2], whole[2])


@pytest.fixture(scope="module")
def room_views(tmp_path_factory: pytest.TempPathFactory) -> tuple[PosedPixels, list[np.ndarray], list[np.ndarray]]:
    """One view of the room, random numbers that rotate its camera, and the room rendered from each rotated camera."""
    check_graphics()
    folder, pose = tmp_path_factory.mktemp("views"), test_drive().poses[90]
    random_3 = np.array([[0.95, 0.5, 0.5], [0.5, 0.9, 0.5], [0.5, 0.5, 0.05], [0.1, 0.2, 0.85]])
    poses = [pose]
    for row in random_3:
        angles = (2 * row - 1) * [ROTATIONS.yaw, ROTATIONS.pitch, ROTATIONS.roll]
        rotated = Rotation.from_matrix(pose.rotation_33) * Rotation.from_euler("YXZ", angles, degrees=True)
        poses.append(Pose(pose.position, rotated.as_quat(scalar_first=True)))
    matrices = json.dumps([p.matrix_44.tolist() for p in poses])
    subprocess.run([sys.executable, "-c", RENDER_VIEWS, str(folder), matrices], cwd=ROOT, check=True, timeout=60)
    images = [cv2.imread(str(folder / f"{k}.png"))[:, :, ::-1] for k in range(len(poses))]
    K = camera_matrix(320, 240)
    camera = Intrinsics(320, 240, K[0, 0], K[1, 1], K[0, 2], K[1, 2])
    image = ROOM.resize(images[0])[None].expand(len(random_3), -1, -1, -1).contiguous()
    pixels = PosedPixels(
        image,
        torch.zeros(len(random_3), 3),
        torch.from_numpy(pose.orientation).float().expand(len(random_3), 4),
        camera.resized(width=image.shape[3], height=image.shape[2]),
    )
    return pixels, random_3, list(zip(images[1:], poses[1:], strict=True))


def pixel_offset(view_3HW: torch.Tensor, rendered_HW3: np.ndarray) -> float:
    """How many pixels the rendered image lies off the warped one, where the warped one shows anything."""
    expected = normalise(ROOM.crop(ROOM.resize(rendered_HW3))[None])[0]
    shown = (view_3HW.abs() > 1e-6).all(dim=0)
    first, second = ((image.mean(dim=0) * shown).double().numpy() for image in (view_3HW, expected))
    return float(
        np.linalg.norm(cv2.phaseCorrelate(first, second, cv2.createHanningWindow(first.shape[::-1], cv2.CV_64F))[0])
    )


def difference(view_3HW: torch.Tensor, rendered_HW3: np.ndarray) -> float:
    """Mean difference in grey levels to the rendered image, where the warped one shows anything."""
    expected = normalise(ROOM.crop(ROOM.resize(rendered_HW3))[None])[0]
    shown = (view_3HW.abs() > 1e-6).all(dim=0)
    assert shown.float().mean() > 0.6
    scale = (normalise(torch.full((1, 3, 1, 1), 255.0)) - normalise(torch.zeros(1, 3, 1, 1)))[0] / 255
    return float(((view_3HW - expected).abs() / scale)[:, shown].mean())


def test_the_warped_image_is_the_rendered_one_and_the_label_its_pose(room_views: tuple) -> None:
    pixels, random_3, expected = room_views
    random_BK = torch.full((len(random_3), RANDOM_NUMBERS), 0.5)
    random_BK[:, :3] = torch.from_numpy(random_3)
    right, _, orientation, *_ = views(pixels, random_BK, ROOM, ROTATED)
    wrong = views(pixels, 1 - random_BK, ROOM, ROTATED)[0]
    for k, (image, pose) in enumerate(expected):
        assert rotation_angle_deg(orientation[k].double().numpy(), pose.orientation) < 1e-4
        good, bad = difference(right[k], image), difference(wrong[k], image)
        off = pixel_offset(right[k], image)
        print(f"numbers {random_3[k]}: {good:.2f} grey levels, {off:.3f} px off; the other way {bad:.2f} grey levels")
        # Bilinear on the small image blurs what the renderer draws anew: a few levels at edges, but nothing moves.
        assert good < 6 and off < 0.1 and bad > 5 * good


def test_t11_images_of_an_unknown_or_bent_camera_are_refused() -> None:
    for camera, sentence in (
        (Intrinsics(4, 3, 1, 1, 1, 1, distortion_model="plumb_bob", distortion=(0.1,)), "of the model 'plumb_bob'"),
        (Intrinsics(4, 3, 1, 1, 1, 1, rectified=False), "the images have an unknown distortion"),
    ):
        scene = Scene("yard", [], intrinsics=camera)
        with pytest.raises(UserError, match=sentence):
            for_camera(TrainConfig(augmentation=ROTATED), scene)
        for_camera(TrainConfig(), scene)
    for camera in (CAMERA, replace(CAMERA, rectified=False, distortion_model="plumb_bob", distortion=(0.1, 0, 0, 0))):
        config = TrainConfig(augmentation=ROTATED)
        assert for_camera(config, Scene("yard", [], intrinsics=camera)) is config  # known distortion is taken out


def test_without_intrinsics_the_crop_stays(capsys: pytest.CaptureFixture) -> None:
    moved = AugmentationConfig(
        random_crop=False, virtual_rotation=ROTATIONS, virtual_translation=0.1, view_completion=1.0, gamma=0.2
    )
    config = TrainConfig(augmentation=moved, image=ImageConfig(smaller_edge=112, height=112, width=150))
    left = for_camera(config, Scene("yard", []))
    assert not needs_depth(left, Scene("yard", []))
    assert not left.augmentation.moves() and left.augmentation.random_crop and left.augmentation.gamma == 0.2
    assert left.image == ImageConfig(smaller_edge=128, height=112, width=150)  # as the papers' 224 of 256
    sentence = (
        "has no intrinsics, which augmentation.virtual_rotation needs: random crops of 112x150 out of a smaller edge"
    )
    assert f"{sentence} of 128" in capsys.readouterr().err
    roomy = TrainConfig(augmentation=moved, image=ImageConfig(smaller_edge=140, height=112, width=150))
    assert for_camera(roomy, Scene("yard", [])).image == roomy.image


def test_a_training_with_rotated_cameras_runs_and_a_wrong_angle_is_refused(
    small_scene: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    keys = ["augmentation.virtual_rotation.yaw=15", "augmentation.virtual_rotation.roll=10", "epochs=2"]
    assert train(arguments(small_scene, tmp_path / "out", *keys)) == 0
    losses = figures(tmp_path / "out")
    assert len(losses) == 2 and np.isfinite(losses).all()
    assert "yaw: 15.0" in (tmp_path / "out" / "config.yaml").read_text()
    assert train(arguments(small_scene, tmp_path / "no", "augmentation.virtual_rotation.pitch=90")) == 2
    assert "augmentation.virtual_rotation.pitch is 90.0, allowed is" in capsys.readouterr().err


def test_the_mean_colour_is_0_for_the_network() -> None:
    assert normalise(mean_colour(torch.device("cpu"))).abs().max() == 0

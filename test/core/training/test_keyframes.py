"""Keyframes of a scene: of training frames alone, none where depth or the camera is not known, of any shape."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from core.refinement.textured_scene import sweep, textured_scene
from made_views import moved
from textured_planes import CAMERA, ROOM, render

from transposenet_core.errors import UserError
from transposenet_core.geometry.intrinsics import Intrinsics
from transposenet_core.geometry.pose import stack
from transposenet_core.refinement import Refiner
from transposenet_core.refinement.levels import grey_of
from transposenet_core.scene import Scene
from transposenet_core.training.keyframes import PIXELS, MadeKeyframes, keyframe_camera, make_keyframes

SPLITS = ["train", "val", "test", "train", "left_out", "train", "test", "train"]


@pytest.fixture(scope="module")
def scene(tmp_path_factory) -> Scene:
    return textured_scene(tmp_path_factory.mktemp("planes"), sweep(len(SPLITS)), SPLITS)


def made_of(scene: Scene, most: int = 100, threads: int = 1) -> MadeKeyframes:
    made = make_keyframes(scene, most, threads, progress=False)
    assert made is not None
    return made


def test_training_frames_alone_become_keyframes(scene: Scene) -> None:
    made = made_of(scene)
    training = [image for image in scene.images if image.split == "train"]
    assert [image.name for image in made.images] == [image.name for image in training]
    positions_K3, orientations_K4 = stack([image.pose for image in training])
    np.testing.assert_array_equal(made.keyframes.positions_K3, positions_K3)
    np.testing.assert_array_equal(made.keyframes.orientations_K4, orientations_K4)


def test_they_show_the_images_and_their_depth(scene: Scene) -> None:
    made = made_of(scene)
    keyframes, half = made.keyframes, keyframe_camera(CAMERA).resized(80, 60)
    for image, grey_HW, depth_hw in zip(made.images, keyframes.image_KHW, keyframes.depth_Khw, strict=True):
        image_HW3, _ = render(ROOM, image.pose)
        np.testing.assert_array_equal(grey_HW, grey_of(image_HW3, (160, 120)))
        exact_hw, known_hw = render(ROOM, image.pose, half)[1], depth_hw > 0
        assert known_hw.mean() > 0.8
        apart_hw = np.abs(depth_hw[known_hw].astype(float) / np.maximum(exact_hw[known_hw], 1e-9) - 1)
        assert np.median(apart_hw) < 0.01


def test_threads_change_nothing(scene: Scene) -> None:
    assert made_of(scene, threads=1).keyframes.to_bytes() == made_of(scene, threads=3).keyframes.to_bytes()


def test_as_many_as_allowed_are_made(scene: Scene) -> None:
    assert [len(made_of(scene, most).images) for most in (1, 3)] == [1, 3]
    assert make_keyframes(scene, 0, 1, progress=False) is None


def test_frames_of_one_place_become_one(scene: Scene) -> None:
    first = scene.images[0]
    shaken = [moved(first.pose, np.full(3, 0.002 * n), np.full(3, 0.001 * n)) for n in range(5)]
    same = [replace(first, name=f"{n}.png", pose=pose) for n, pose in enumerate(shaken)]
    assert len(made_of(replace(scene, images=same)).images) == 1


def without_depth_paths(scene: Scene) -> Scene:
    return replace(scene, images=[replace(image, depth_path=None) for image in scene.images])


def depth_of_held_out_frames_alone(scene: Scene) -> Scene:
    return replace(scene, images=[i if i.split != "train" else replace(i, depth_path=None) for i in scene.images])


@pytest.mark.parametrize(
    "change",
    [
        lambda scene: replace(scene, intrinsics=None),
        lambda scene: replace(scene, depth_camera=None),
        lambda scene: replace(scene, images=[]),
        lambda scene: replace(scene, images=[replace(image, split="test") for image in scene.images]),
        without_depth_paths,
        depth_of_held_out_frames_alone,
    ],
)
def test_without_depth_or_camera_there_are_none(scene: Scene, change: Callable[[Scene], Scene]) -> None:
    assert make_keyframes(change(scene), 100, 1, progress=False) is None


def test_depth_images_without_any_depth_give_none(tmp_path: Path) -> None:
    scene = textured_scene(tmp_path / "empty", sweep(2), ["train"] * 2, with_depth=False)
    assert make_keyframes(scene, 100, 1, progress=False) is None


def test_a_frame_without_depth_is_passed_over(scene: Scene) -> None:
    images = [replace(scene.images[0], depth_path=None), *scene.images[1:]]
    assert [image.name for image in made_of(replace(scene, images=images)).images] == [
        "0003.png",
        "0005.png",
        "0007.png",
    ]


def test_an_image_that_cannot_be_read_is_named(scene: Scene, tmp_path: Path) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no image")
    images = [replace(scene.images[0], path=broken), *scene.images[1:]]
    with pytest.raises(UserError, match="broken.png"):
        make_keyframes(replace(scene, images=images), 100, 1, progress=False)


PORTRAIT = Intrinsics(90, 161, 130.0, 130.0, 44.5, 80.0, rectified=True)


def test_portrait_images_give_portrait_keyframes_that_refine(tmp_path: Path) -> None:
    poses = sweep(24)[8:13]
    scene = textured_scene(tmp_path / "portrait", poses, ["train", "train", "val", "train", "train"], PORTRAIT)
    keyframes = made_of(scene).keyframes
    height, width = keyframes.image_KHW.shape[1:]
    assert height > width and not height % 4 and not width % 4
    assert keyframes.depth_Khw.shape[1:] == (height // 2, width // 2)
    found = Refiner(keyframes).refine(render(ROOM, poses[2], PORTRAIT)[0], PORTRAIT, [poses[1]])
    assert found.accepted and found.pose is not None
    assert np.linalg.norm(found.pose.position - poses[2].position) < 0.02


@pytest.mark.parametrize("size", [(640, 480), (480, 640), (1920, 1080), (1001, 333), (64, 48), (4000, 50), (17, 4000)])
def test_keyframes_of_any_shape_have_as_many_pixels_and_even_sides(size: tuple[int, int]) -> None:
    width, height = size
    small = keyframe_camera(Intrinsics(width, height, 500.0, 510.0, width / 2, height / 2))
    assert not small.width % 4 and not small.height % 4 and (small.width > small.height) == (width > height)
    if max(size) < 4 * min(size):
        assert small.width * small.height == pytest.approx(PIXELS, rel=0.05)
        assert small.width / small.height == pytest.approx(width / height, rel=0.05)
    assert small.fx / 500 == pytest.approx(small.width / width)
    assert small.fy / 510 == pytest.approx(small.height / height)

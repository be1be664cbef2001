"""Matches between neighbouring frames: the motion they see is the one the images were drawn with."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from core.dataset_check.made_room import CAMERA, made_scene
from core.dataset_check.test_conventions import walk
from scipy.spatial.transform import Rotation

from transposenet_core.dataset_check.agreement import ray_distances, relative_motion
from transposenet_core.dataset_check.lens import Lens
from transposenet_core.dataset_check.matching import match_neighbours
from transposenet_core.geometry.pose import stack
from transposenet_core.scene import Scene


@pytest.fixture(scope="module")
def scene(tmp_path_factory) -> Scene:
    return made_scene(tmp_path_factory.mktemp("room"), walk(), rate=10)


def test_the_motion_seen_is_the_motion_drawn(scene):
    matches = match_neighbours(scene, 10)
    assert len(matches.pairs) >= 7 and matches.tried == 10
    for pair in matches.pairs:
        p_23, q_24 = stack([pair.first.pose, pair.second.pose])
        motion = relative_motion(p_23, Rotation.from_quat(q_24, scalar_first=True))
        distance_px_N = matches.lens.focal * ray_distances(pair, *motion)
        assert np.median(distance_px_N) < 0.5 and np.mean(distance_px_N < 1.5) > 0.9


def test_a_scene_without_intrinsics_gets_a_focal_length_that_is_called_a_guess(scene):
    matches = match_neighbours(replace(scene, intrinsics=None), 12)
    assert "guessed" in matches.lens.source
    assert matches.lens.focal == pytest.approx(CAMERA.fx, rel=0.4)


def test_t01_images_that_cannot_be_read_are_passed_over(scene, tmp_path):
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"")
    images = [replace(image, path=broken) if k % 5 == 0 else image for k, image in enumerate(scene.images)]
    matches = match_neighbours(replace(scene, images=images), 12)
    assert matches.pairs and all(pair.first.path != broken and pair.second.path != broken for pair in matches.pairs)


def test_t10_a_scene_of_one_image_has_no_pairs(scene):
    assert match_neighbours(replace(scene, images=scene.images[:1])).pairs == []


@pytest.mark.parametrize(
    ("model", "coefficients"),
    [
        ("none", ()),
        ("plumb_bob", (-0.2, 0.05, 0.001, -0.001, 0.0)),
        ("rational_polynomial", (0.1, 0.02, 0.0, 0.0, 0.01, 0.2, 0.0, 0.0)),
        ("equidistant", (0.01, -0.02, 0.003, 0.0)),
    ],
)
def test_rays_and_pixels_are_each_others_inverse(model, coefficients):
    lens = Lens.of(replace(CAMERA, rectified=False, distortion_model=model, distortion=coefficients), (160, 120))
    pixels_N2 = np.random.default_rng(2).uniform([10, 10], [150, 110], (50, 2))
    rays_N2 = lens.rays(pixels_N2)
    np.testing.assert_allclose(lens.pixels(np.column_stack([rays_N2, np.ones(50)])), pixels_N2, atol=0.01)


def test_t22_one_lens_serves_images_of_one_size(scene, tmp_path):
    """Of images of two sizes those of the usual one are compared: the camera of the others has other intrinsics."""
    resized = len(scene.images) // 3
    images = list(scene.images)
    for k, image in enumerate(images[:resized]):
        path = tmp_path / image.path.name
        cv2.imwrite(str(path), cv2.resize(cv2.imread(str(image.path)), (240, 180)))
        images[k] = replace(image, path=path)
    matches = match_neighbours(replace(scene, images=images), 12)
    assert len(matches.pairs) >= 4 and matches.lens.intrinsics.width == 320
    used = {image.path for pair in matches.pairs for image in (pair.first, pair.second)}
    assert used <= {image.path for image in images[resized:]}

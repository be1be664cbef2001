"""Images of the demo's room, rendered from exact poses: features, matches and what the cache keeps of them."""

import shutil
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from made_views import noisy
from rendered_room import CAMERA, render_room
from textured_planes import Rectangle, camera_at, rectangle, render

from demo.drives import training_drives
from transposenet_core.errors import UserError
from transposenet_core.geometry.intrinsics import Intrinsics
from transposenet_core.geometry.pose import rotation_angle_deg, stack
from transposenet_core.geometry.similarity import Similarity
from transposenet_core.mapping.adjust.adjustment import Adjustment, AdjustOptions, adjust
from transposenet_core.mapping.adjust.features import KEY_POINTS, detect, features_of
from transposenet_core.mapping.adjust.matching import mutual_matches
from transposenet_core.scene import PosedImage

FRAMES = 16


@pytest.fixture(scope="module")
def drive(tmp_path_factory) -> tuple[list[PosedImage], list]:
    """Images with poses 2 cm and 0.5 deg off, and the exact poses."""
    poses = training_drives()[0].poses[40 : 40 + FRAMES]
    folder = render_room(tmp_path_factory.mktemp("drive"), [pose.matrix_44 for pose in poses])
    recorded = noisy(poses, 0.02, 0.5)
    images = [
        PosedImage(f"{n}.png", folder / f"{n}.png", pose, "train", "a", n / 7.0) for n, pose in enumerate(recorded)
    ]
    return images, poses


@pytest.fixture(scope="module")
def result(drive, tmp_path_factory) -> tuple[Adjustment, Path]:
    cache = tmp_path_factory.mktemp("cache")
    return adjust(drive[0], CAMERA, AdjustOptions(), cache, progress=False), cache


def test_poses_of_rendered_images_become_exact(drive, result):
    adjusted = result[0]
    assert not adjusted.refused
    position, orientation = stack([frame.T_map_camera for frame in adjusted.sparse.frames])
    true_position, true_orientation = stack(drive[1])
    to_exact = Similarity.of_points(position, true_position, with_scale=True)
    laid = [to_exact(frame.T_map_camera) for frame in adjusted.sparse.frames]
    assert np.median(np.linalg.norm(stack(laid)[0] - true_position, axis=1)) < 0.008
    assert np.median(rotation_angle_deg(orientation, true_orientation)) < 0.8
    assert adjusted.after_px < 0.5 < adjusted.before_px


def test_points_lie_where_the_rendered_depth_is(drive, result):
    sparse = result[0].sparse
    frame = sparse.frames[8]
    depth_HW = cv2.imread(str(frame.image.path.with_suffix(".depth.png")), cv2.IMREAD_UNCHANGED) / 1000
    column, row = np.round(frame.pixel_K2).astype(int).T
    ratio = sparse.depths(frame) / depth_HW[row, column]
    assert np.median(np.abs(ratio / np.median(ratio) - 1)) < 0.02
    assert np.median(ratio) == pytest.approx(1, abs=0.1)


def test_m07_a_run_that_was_killed_goes_on_with_the_same_result(drive, result, tmp_path):
    first, cache = result
    partly = tmp_path / "cache"
    shutil.copytree(cache, partly)
    for path in sorted(partly.rglob("*.npz"))[::2]:
        path.unlink()
    damaged = min(partly.rglob("*.npz"))
    damaged.write_bytes(damaged.read_bytes()[:100])
    again = adjust(drive[0], CAMERA, AdjustOptions(), partly, progress=False)
    assert np.array_equal(first.sparse.point_P3, again.sparse.point_P3)
    assert all(
        np.array_equal(a.T_map_camera.matrix_44, b.T_map_camera.matrix_44)
        for a, b in zip(first.sparse.frames, again.sparse.frames, strict=True)
    )


def test_key_points_cover_the_image_and_scale_with_it(drive):
    image_HW3 = cv2.imread(str(drive[0][0].path))[..., ::-1].copy()
    features = detect(image_HW3)
    assert 100 < len(features.pixel_K2) <= KEY_POINTS
    large = detect(cv2.resize(image_HW3, None, fx=4, fy=4, interpolation=cv2.INTER_CUBIC))
    a, b = mutual_matches(features, large).T
    apart = np.linalg.norm((large.pixel_K2[b] + 0.5) / 4 - 0.5 - features.pixel_K2[a], axis=1)
    assert len(apart) > 50
    assert np.median(apart) < 0.2
    assert not len(detect(np.full((120, 160, 3), 128, np.uint8)).pixel_K2)


def test_m03_grey_images_fix_nothing(drive, tmp_path):
    cv2.imwrite(str(tmp_path / "grey.png"), np.full((240, 320, 3), 128, np.uint8))
    blank = [replace(image, path=tmp_path / "grey.png") for image in drive[0]]
    refused = adjust(blank, CAMERA, AdjustOptions(), None, progress=False)
    assert "no points" in refused.refused
    assert not refused.kept_N.any()


def test_an_image_that_cannot_be_read_is_named(tmp_path):
    (tmp_path / "broken.png").write_bytes(b"not an image")
    with pytest.raises(UserError, match="broken.png"):
        features_of(tmp_path / "broken.png", None)


@pytest.mark.parametrize("error_m", [0.05, 0.2])
def test_m02_equal_things_in_a_row_do_not_pull_frames_to_their_neighbours(error_m, tmp_path):
    """A wall of one tile, 0.4 m wide, again and again: whatever is matched with the wrong one, no frame gets worse."""
    tile = rectangle((0, 0, 0), (1, 0, 0), (0, 1, 0), 7).texture_HW3
    strip_HW3 = np.tile(cv2.resize(tile, (48, 1152), interpolation=cv2.INTER_AREA), (1, 24, 1))  # square
    wall = Rectangle(np.array((-4.0, -1.5, 3.0)), np.array(((9.6, 0, 0), (0, 3.0, 0))), strip_HW3)
    camera = Intrinsics(320, 240, 280.0, 280.0, 159.5, 119.5, rectified=True)
    poses = [
        camera_at((0.12 * k - 1, 0.03 * np.sin(k), 0.05 * np.cos(k)), yaw_deg=6 * np.sin(k / 4)) for k in range(14)
    ]
    recorded, images = noisy(poses, error_m, 1.0), []
    for number, pose in enumerate(poses):
        cv2.imwrite(str(tmp_path / f"{number}.png"), render([wall], pose, camera)[0][..., ::-1])
        path = tmp_path / f"{number}.png"
        images.append(PosedImage(path.name, path, recorded[number], "train", "a", number / 7))
    found = adjust(images, camera, AdjustOptions(), tmp_path / "cache", progress=False)
    each = (recorded, [frame.T_map_camera for frame in found.sparse.frames])
    before_N, after_N = (np.linalg.norm(stack(some)[0] - stack(poses)[0], axis=1) for some in each)
    assert (after_N <= np.maximum(before_N, 3 * error_m)).all() and np.median(after_N) <= np.median(before_N)
    assert found.refused or after_N.mean() < before_N.mean()

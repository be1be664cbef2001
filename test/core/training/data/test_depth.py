"""Depth for training: stored without a clipped range, and images that have none."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from transposenet_core.errors import UserError
from transposenet_core.geometry.intrinsics import Intrinsics
from transposenet_core.geometry.pose import Pose
from transposenet_core.scene import DepthCamera, PosedImage, Scene
from transposenet_core.training.augmentation.view_synthesis import moved_views
from transposenet_core.training.data.depth import check_depth, registered_depth, with_depth
from transposenet_core.training.data.distances import Distances
from transposenet_core.training.data.pixels import PosedPixels

CAMERA = Intrinsics(80, 60, 70.0, 70.0, 39.5, 29.5)
HERE = Pose([0.0, 0.0, 0.0], [1.0, 0.0, 0.0, 0.0])


def image_of(path: Path | None, split: str = "train") -> PosedImage:
    return PosedImage("0.png", Path("0.png"), HERE, split, "", 0.0, path)


def street(unit: float) -> np.ndarray:
    """Depths (60, 80) from 0.3 to 200 times `unit`, evenly spaced in their logarithm."""
    return unit * np.geomspace(0.3, 200, 60 * 80).reshape(60, 80)


@pytest.mark.parametrize("unit", [0.01, 1.0, 50.0])
def test_m06_depths_from_30_cm_to_200_m_are_kept(tmp_path: Path, unit: float) -> None:
    """Of a table top, a street, or in any unit: within half a step of the file and the digits of a float16."""
    step, depth_HW = unit * 0.004, street(unit)
    cv2.imwrite(str(tmp_path / "z.png"), np.rint(depth_HW / step).astype(np.uint16))
    found_HW = registered_depth(image_of(tmp_path / "z.png"), DepthCamera(CAMERA, step, HERE), CAMERA)
    assert found_HW.dtype == np.float16 and (found_HW > 0).all()
    assert (np.abs(found_HW.astype(float) - depth_HW) <= 0.51 * step + depth_HW / 2000).all()
    # And a moved camera sees all of them, where they belong.
    depth, image = torch.from_numpy(found_HW)[None], torch.full((1, 3, 60, 80), 9.0)
    still, ahead = torch.tensor([[1.0, 0, 0, 0]]), torch.tensor([[0.0, 0.0, 0.05 * unit]])
    seen = moved_views(image, depth, still, ahead, CAMERA, (60, 80)).depth_BHW[0].numpy()
    assert (seen > 0).mean() > 0.9 and seen.max() > 190 * unit


def test_a_saturated_pixel_is_no_depth(tmp_path: Path) -> None:
    depth_HW = np.full((60, 80), 1500, np.uint16)
    depth_HW[:, 40:] = 65535
    cv2.imwrite(str(tmp_path / "z.png"), depth_HW)
    found_HW = registered_depth(image_of(tmp_path / "z.png"), DepthCamera(CAMERA, 1e-3, HERE), CAMERA)
    assert (found_HW[:, :40] == 1.5).all() and (found_HW[:, 40:] == -1.5).all()


@settings(deadline=None)
@given(st.floats(1e-2, 100), st.integers(0, 2**31))
def test_distances_scale_with_the_scene(factor: float, seed: int) -> None:
    depth_NHW = torch.from_numpy(np.random.default_rng(seed).uniform(0.5, 100, (3, 6, 8))).float()
    depth_NHW[1] = -depth_NHW[1]  # guesses alone
    one, other = Distances.of(depth_NHW), Distances.of(factor * depth_NHW)
    torch.testing.assert_close(other.typical_N, factor * one.typical_N)
    torch.testing.assert_close(other.near_N, factor * one.near_N)
    assert other.scene == pytest.approx(factor * one.scene, rel=1e-5)
    assert one.typical_N[1] == one.near_N[1] == 0 and (one.near_N <= one.typical_N).all()


def test_a_far_background_hardly_counts() -> None:
    depth_1HW = torch.full((1, 10, 10), 3.0)
    depth_1HW[:, :5] = 170
    assert Distances.of(depth_1HW).scene == pytest.approx(5.9, abs=0.1)


def test_images_without_depth_are_guessed_and_too_few_with_it_are_refused(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "z.png"), np.full((60, 80), 1500, np.uint16))
    camera, images = DepthCamera(CAMERA, 1e-3, HERE), [image_of(tmp_path / "z.png"), image_of(None)]
    pixels = PosedPixels(torch.zeros(2, 3, 60, 80), torch.zeros(2, 3), torch.zeros(2, 4), CAMERA)
    depth_NHW = with_depth(pixels, images, camera, 0).depth_NHW
    assert depth_NHW is not None and (depth_NHW[0] == 1.5).all() and (depth_NHW[1] == -1.5).all()
    scene = Scene("yard", images, intrinsics=CAMERA, depth_camera=camera, root=tmp_path)
    check_depth(scene, "the test")
    few = replace(scene, images=[*images, *(replace(images[1], name=f"{n}.png") for n in range(20))])
    with pytest.raises(UserError, match=r"depth images of 1 of its 22 training frames.*transposenet map .* --out MAP"):
        check_depth(few, "the test")

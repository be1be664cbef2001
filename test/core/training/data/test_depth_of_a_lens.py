"""Depth of a camera whose lens distorts: the rendered room through a lens is, registered, the room of a pinhole."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from distorting_lens import through_the_lens
from rendered_room import CAMERA

from transposenet_core.errors import UserError
from transposenet_core.formats import load_scene
from transposenet_core.formats.folder_writing import folder_dataset
from transposenet_core.geometry.intrinsics import Intrinsics
from transposenet_core.geometry.pose import Pose
from transposenet_core.geometry.undistortion import Undistorter
from transposenet_core.image_files import read_image
from transposenet_core.scene import DepthCamera, Scene
from transposenet_core.training.data.depth import registered_depth

LENS = replace(CAMERA, distortion_model="plumb_bob", distortion=(-0.28, 0.07, 0.002, -0.003, 0.0))
FISHEYE = replace(CAMERA, distortion_model="equidistant", distortion=(0.01, -0.02, 0.0, 0.0))
HERE = Pose([0, 0, 0], [1, 0, 0, 0])


def of_pinhole(room: Path) -> tuple[np.ndarray, np.ndarray]:
    """Colour (H, W, 3) and depth (H, W) in millimetres as a pinhole takes them."""
    return read_image(room / "0.png"), cv2.imread(str(room / "0.depth.png"), cv2.IMREAD_UNCHANGED)


def of_lens(room: Path, lens: Intrinsics) -> tuple[np.ndarray, np.ndarray]:
    image_HW3, depth_HW = of_pinhole(room)
    return (
        through_the_lens(lens, CAMERA, image_HW3, cv2.INTER_CUBIC),
        through_the_lens(lens, CAMERA, depth_HW, cv2.INTER_NEAREST),
    )


def tum(root: Path, image_HW3: np.ndarray, depth_HW: np.ndarray) -> Scene:
    """The room as the benchmark's recorder writes it, its camera given as options."""
    root.mkdir()
    cv2.imwrite(str(root / "a.png"), image_HW3[..., ::-1])
    cv2.imwrite(str(root / "b.png"), 5 * depth_HW.astype(np.uint16))
    (root / "rgb.txt").write_text("1.0 a.png\n")
    (root / "depth.txt").write_text("1.0 b.png\n")
    (root / "groundtruth.txt").write_text("0.96 0 0 0 0 0 0 1\n1.04 0 0 0 0 0 0 1\n")
    names = dict(zip(("k1", "k2", "p1", "p2", "k3"), LENS.distortion, strict=True))
    names |= {name: getattr(LENS, name) for name in ("fx", "fy", "cx", "cy")}
    return load_scene(f"tum:{root}," + ",".join(f"{name}={value}" for name, value in names.items()))


def folder(root: Path, image_HW3: np.ndarray, depth_HW: np.ndarray, lens: Intrinsics = LENS) -> Scene:
    """The same as a plain folder, whose depth camera has a lens of its own: the colour one's, or `lens`."""
    with folder_dataset(root) as writer:
        writer.intrinsics, writer.depth_camera = LENS, DepthCamera(lens, 1e-3, HERE)
        writer.add("0.png", image_HW3, HERE, 10**9, depth=depth_HW)
    return load_scene(f"folder:{root}")


def far_off(depth_HW: np.ndarray, expected_HW: np.ndarray) -> float:
    """Of the measured pixels in the outer quarter of the image, where a lens shows, the share more than 2 % off;
    `depth_HW` in metres, what is expected in millimetres."""
    v_HW, u_HW = np.mgrid[0 : CAMERA.height, 0 : CAMERA.width]
    radius_HW = np.hypot((u_HW - CAMERA.cx) / CAMERA.width, (v_HW - CAMERA.cy) / CAMERA.height)
    counted = (depth_HW > 0) & (radius_HW > np.quantile(radius_HW, 0.75))
    assert counted.sum() > 2000
    return float((np.abs(1000 * depth_HW.astype(float) / np.maximum(expected_HW, 1) - 1) > 0.02)[counted].mean())


@pytest.mark.parametrize("layout", [tum, folder])
def test_t20_depth_meets_colour_where_one_lens_distorts_both(room: Path, tmp_path: Path, layout) -> None:
    image_HW3, depth_HW = of_pinhole(room)
    scene = layout(tmp_path / "data", *of_lens(room, LENS))
    undistorter = Undistorter(scene.intrinsics)
    registered_HW = registered_depth(scene.images[0], scene.depth_camera, undistorter.rectified)
    assert far_off(registered_HW, depth_HW) < 0.03
    colours = np.abs(undistorter(read_image(scene.images[0].path)).astype(float) - image_HW3)
    assert np.median(colours[registered_HW > 0]) < 3
    # As it was: the colour image rectified, the depth image's pixels taken for those of a pinhole.
    raw = replace(scene.depth_camera, intrinsics=undistorter.rectified)
    wrong = far_off(registered_depth(scene.images[0], raw, undistorter.rectified), depth_HW)
    print(f"off: {far_off(registered_HW, depth_HW):.1%}, without the depth camera's lens {wrong:.1%}")
    assert wrong > 0.15


def test_t20_the_depth_camera_has_its_own_lens(room: Path, tmp_path: Path) -> None:
    """Colour through one lens and depth through another, half as large."""
    _, depth_HW = of_pinhole(room)
    image_HW3, _ = of_lens(room, LENS)
    _, fisheye_depth_HW = of_lens(room, FISHEYE)
    scene = folder(tmp_path / "data", image_HW3, fisheye_depth_HW[::2, ::2].copy(), FISHEYE)
    registered_HW = registered_depth(scene.images[0], scene.depth_camera, Undistorter(scene.intrinsics).rectified)
    assert far_off(np.abs(registered_HW), depth_HW) < 0.08  # filled between the measured pixels, too
    assert 0.15 < (registered_HW > 0).mean() < 0.3


def test_t22_depth_of_another_aspect_ratio_than_its_camera_is_refused(room: Path, tmp_path: Path) -> None:
    image_HW3, depth_HW = of_lens(room, LENS)
    with pytest.raises(UserError, match=r"240x320 pixels, but their camera .* for 320x240: width and height are exch"):
        folder(tmp_path / "data", image_HW3, np.ascontiguousarray(depth_HW.T))
    described = json.loads((tmp_path / "data" / "depth_camera.json").read_text())
    assert (described["distortion_model"], described["width"]) == ("plumb_bob", 320)

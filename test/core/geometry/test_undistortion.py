"""Rectified images: every pixel comes from where the lens's formula, written out here, puts it."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
from distorting_lens import projected
from hypothesis import given, settings
from hypothesis import strategies as st

from transposenet_core.errors import UserError
from transposenet_core.geometry import undistortion
from transposenet_core.geometry.intrinsics import Intrinsics, aspect_difference
from transposenet_core.geometry.lens_models import bears_distortion
from transposenet_core.geometry.undistortion import Undistorter, rectifying_maps

CAMERA = Intrinsics(160, 120, 110.0, 115.0, 77.0, 62.5, "calibration")
LENSES = {
    "plumb_bob": (-0.28, 0.07, 0.0012, -0.0019, 0.01),
    "rational_polynomial": (0.1, -0.05, 0.001, 0.002, 0.003, 0.3, -0.02, 0.004),
    "equidistant": (-0.02, 0.01, -0.006, 0.001),
}


def seen_by(camera: Intrinsics) -> tuple[np.ndarray, np.ndarray]:
    """Where the rectified image's pixels lie in the image taken, by formula."""
    rows, columns = np.mgrid[0 : camera.height, 0 : camera.width]
    return projected(camera, (columns - camera.cx) / camera.fx, (rows - camera.cy) / camera.fy)


def lens(name: str) -> Intrinsics:
    return replace(CAMERA, distortion_model=name, distortion=LENSES[name])


@pytest.mark.parametrize("name", LENSES)
def test_each_pixel_of_the_rectified_image_comes_from_where_the_formula_puts_it(name: str) -> None:
    camera = lens(name)
    x, y = seen_by(camera)
    assert np.hypot(*(a - b for a, b in zip((x, y), np.mgrid[0:120, 0:160][::-1], strict=True))).max() > 3
    rows, columns = np.mgrid[0:120, 0:160]
    image_HW3 = np.stack([rows, columns, np.full_like(rows, 200)], axis=-1).astype(np.uint8)
    rectified_HW3 = Undistorter(camera)(image_HW3).astype(float)
    inside = (x >= 0) & (x <= 159) & (y >= 0) & (y <= 119)
    assert inside.mean() > 0.7 and rectified_HW3.shape == (120, 160, 3)
    assert abs(rectified_HW3[..., 0] - y)[inside].max() < 0.55  # rounding to uint8, and maps in steps of 1/32
    assert abs(rectified_HW3[..., 1] - x)[inside].max() < 0.55
    outside = (x < -1.1) | (x > 160.1) | (y < -1.1) | (y > 120.1)
    assert not rectified_HW3[outside].any()


@settings(deadline=None, max_examples=40)
@given(
    st.sampled_from(sorted(LENSES)), st.floats(-0.3, 0.3), st.floats(60, 300), st.floats(60, 100), st.floats(-0.5, 0.5)
)
def test_the_maps_equal_the_formula(name: str, first: float, focal: float, centre: float, scale: float) -> None:
    distortion = (first, *(scale * value for value in LENSES[name][1:]))
    camera = replace(CAMERA, fx=focal, cx=centre, distortion_model=name, distortion=distortion)
    K_33 = camera.matrix_33
    maps = rectifying_maps(K_33, name, np.array(distortion), K_33, (160, 120))
    for found, expected in zip(maps, seen_by(camera), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-3)


def test_the_rectified_camera_is_the_same_without_distortion() -> None:
    undistorter = Undistorter(lens("plumb_bob"))
    assert undistorter.needed and undistorter.rectified == replace(CAMERA, rectified=True)
    again = Undistorter(undistorter.rectified)
    assert not again.needed


@pytest.mark.parametrize(
    "camera",
    [
        CAMERA,
        replace(CAMERA, distortion_model="plumb_bob", distortion=(0.0,) * 5),
        replace(lens("equidistant"), rectified=True),
    ],
)
def test_images_without_distortion_come_back_as_they_are(camera: Intrinsics) -> None:
    image_HW3 = np.zeros((120, 160, 3), np.uint8)
    undistorter = Undistorter(camera)
    assert undistorter(image_HW3) is image_HW3 and undistorter.rectified is camera and not undistorter.needed


@pytest.mark.parametrize(
    ("name", "distortion"),
    [("plumb_bob", (0.1, 0.2)), ("equidistant", (0.1,) * 5), ("thin_prism", (0.1,) * 4), ("plumb_bob", (np.nan,) * 4)],
)
def test_distortion_that_fits_no_model_is_one_sentence(name: str, distortion: tuple[float, ...]) -> None:
    with pytest.raises(
        UserError, match=rf"\(calibration\) has the distortion .* of the model '{name}'; known are plumb"
    ):
        bears_distortion(replace(CAMERA, distortion_model=name, distortion=distortion))


@pytest.mark.parametrize("name", LENSES)
def test_t22_a_resized_image_is_rectified_as_the_image_itself(name: str) -> None:
    """Half the size: what lies at a pixel of the rectified image lies at the same place of the smaller one."""
    rows, columns = np.mgrid[0:120, 0:160]
    image_HW3 = np.stack([rows, columns, np.full_like(rows, 200)], axis=-1).astype(np.uint8)
    undistorter = Undistorter(lens(name))
    halved_HW3 = cv2.resize(image_HW3, (80, 60), interpolation=cv2.INTER_AREA)
    expected_HW3 = cv2.resize(undistorter(image_HW3), (80, 60), interpolation=cv2.INTER_AREA).astype(float)
    seen = np.abs(expected_HW3[..., 2] - 200) < 1  # edges of what the lens shows are blurred differently
    assert seen.mean() > 0.6
    assert np.abs(undistorter(halved_HW3) - expected_HW3)[seen].max() < 1.5


def test_the_maps_of_depth_images_are_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    monkeypatch.setattr(undistortion, "rectifying_maps", lambda *args: made.append(1) or rectifying_maps(*args))
    undistorter, depth_HW = Undistorter(lens("plumb_bob")), np.ones((120, 160), np.uint16)
    np.testing.assert_array_equal(undistorter.depth(depth_HW), undistorter.depth(depth_HW))
    assert len(made) == 1


@pytest.mark.parametrize(
    ("size", "difference"),
    [((120, 160), "width and height are exchanged"), ((160, 90), "another aspect ratio")],
)
@pytest.mark.parametrize("camera", [CAMERA, lens("plumb_bob")])
def test_t22_an_image_of_another_aspect_ratio_is_refused(
    camera: Intrinsics, size: tuple[int, int], difference: str
) -> None:
    sentence = rf"{size[0]}x{size[1]} pixels, but their camera \(calibration\) is described for 160x120: {difference}"
    with pytest.raises(UserError, match=sentence):
        Undistorter(camera)(np.zeros((size[1], size[0], 3), np.uint8))


@pytest.mark.parametrize(
    ("size", "other", "difference"),
    [
        ((480, 270), (1920, 1080), ""),
        ((1333, 1000), (4000, 3000), ""),
        ((107, 80), (640, 480), ""),  # 106.67 columns
        ((1920, 1088), (1920, 1080), ""),  # padded for a video codec
        ((640, 480), (480, 640), "width and height are exchanged"),
        ((1920, 1080), (640, 480), "another aspect ratio"),
        ((640, 400), (640, 480), "another aspect ratio"),
        ((0, 81), (101, 81), "another aspect ratio"),
    ],
)
def test_t22_which_sizes_are_one_cameras(size: tuple[int, int], other: tuple[int, int], difference: str) -> None:
    assert aspect_difference(size, other) == aspect_difference(other, size) == difference


def test_t22_scaled_intrinsics_see_the_same_rays() -> None:
    """The edges of the image stay: a point is as far from them as a share of the image's width, whatever the size."""
    small = CAMERA.for_images(40, 30)
    assert (small.width, small.height) == (40, 30) and CAMERA.for_images(160, 120) is CAMERA
    for x in (-0.4, 0.0, 0.3):
        large_u, small_u = CAMERA.fx * x + CAMERA.cx, small.fx * x + small.cx
        assert (small_u + 0.5) / 40 == pytest.approx((large_u + 0.5) / 160)


def test_t21_an_equidistant_lens_without_coefficients_bends_lines() -> None:
    camera = replace(CAMERA, distortion_model="equidistant", distortion=(0, 0, 0, 0))
    undistorter = Undistorter(camera)
    rows, columns = np.mgrid[0:120, 0:160]
    image_HW3 = np.stack([rows, columns, np.full_like(rows, 200)], axis=-1).astype(np.uint8)
    x, _ = seen_by(camera)
    assert undistorter.needed and abs(columns - x).max() > 8
    assert abs(undistorter(image_HW3)[..., 1] - x).max() < 0.55


def test_t21_coefficients_without_a_model_are_refused() -> None:
    with pytest.raises(UserError, match=r"the distortion \[0.1, 0.0, 0.0, 0.0\] of the model 'none'; known are plumb"):
        Undistorter(replace(CAMERA, distortion=(0.1, 0, 0, 0)))

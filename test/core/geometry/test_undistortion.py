"""Rectified images: every pixel comes from where the lens's formula, written out here, puts it."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transposenet_core.errors import UserError
from transposenet_core.geometry.intrinsics import Intrinsics
from transposenet_core.geometry.undistortion import Undistorter, bears_distortion, rectifying_maps

CAMERA = Intrinsics(160, 120, 110.0, 115.0, 77.0, 62.5, "calibration")
LENSES = {
    "plumb_bob": (-0.28, 0.07, 0.0012, -0.0019, 0.01),
    "rational_polynomial": (0.1, -0.05, 0.001, 0.002, 0.003, 0.3, -0.02, 0.004),
    "equidistant": (-0.02, 0.01, -0.006, 0.001),
}


def projected(camera: Intrinsics, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pixels of the points (x, y, 1) of the optical frame, by the formulas of the OpenCV documentation."""
    d = camera.distortion
    r2 = x * x + y * y
    if camera.distortion_model == "equidistant":
        r = np.sqrt(r2)
        theta = np.arctan(r)
        bent = theta * (1 + d[0] * theta**2 + d[1] * theta**4 + d[2] * theta**6 + d[3] * theta**8)
        factor = np.where(r > 1e-12, bent / np.maximum(r, 1e-12), 1)
        return camera.fx * x * factor + camera.cx, camera.fy * y * factor + camera.cy
    k1, k2, p1, p2, k3, k4, k5, k6 = (*d, 0, 0, 0, 0)[:8]
    radial = (1 + k1 * r2 + k2 * r2**2 + k3 * r2**3) / (1 + k4 * r2 + k5 * r2**2 + k6 * r2**3)
    x_bent = x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x * x)
    y_bent = y * radial + p1 * (r2 + 2 * y * y) + 2 * p2 * x * y
    return camera.fx * x_bent + camera.cx, camera.fy * y_bent + camera.cy


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


def test_an_image_of_another_size_is_refused() -> None:
    with pytest.raises(UserError, match=r"an image of 80x60, but its camera \(calibration\) is for 160x120"):
        Undistorter(lens("plumb_bob"))(np.zeros((60, 80, 3), np.uint8))

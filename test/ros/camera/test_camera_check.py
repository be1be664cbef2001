"""The live camera against the training camera, and pixels of corrected images by hand (fault matrix, N22)."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from camera_infos import info_of
from diagnostic_msgs.msg import DiagnosticStatus
from sensor_msgs.msg import CameraInfo, RegionOfInterest

from transposenet_core.geometry.intrinsics import Intrinsics
from transposenet_core.geometry.undistortion import Undistorter
from transposenet_ros.camera.camera_check import CameraCheck

TRAINING = Intrinsics(101, 81, 100.0, 100.0, 50.0, 40.0, "calibration.txt")
RECTIFIED = replace(TRAINING, rectified=True)
# At (row 70, column 90) of the training camera a point lies at x = 0.4, y = 0.3 in the plane one metre ahead.
ROW, COLUMN, X, Y = 70, 90, 0.4, 0.3
RADIUS = 0.5


def coordinates(height: int = 81, width: int = 101) -> np.ndarray:
    """An image whose pixels hold their position: row, column, and 255 to distinguish them from black."""
    rows, columns = np.mgrid[0:height, 0:width]
    return np.stack([rows, columns, np.full_like(rows, 255)], axis=-1).astype(np.uint8)


def test_n22_the_training_camera_is_fine_and_its_images_stay_as_they_are() -> None:
    check = CameraCheck(TRAINING)
    verdict = check.update(info_of())
    assert (verdict.level, verdict.reason, verdict.refused) == (DiagnosticStatus.OK, "", False)
    image_HW3 = coordinates()
    assert check.correct(image_HW3) is image_HW3


def test_n22_without_camera_info_it_runs_and_warns() -> None:
    check = CameraCheck(TRAINING, "refuse")
    image_HW3 = coordinates()
    assert check.correct(image_HW3) is image_HW3
    assert (check.verdict.level, check.verdict.reason) == (DiagnosticStatus.WARN, "camera_unknown")
    assert "calibration.txt" in check.verdict.text and not check.verdict.refused


@pytest.mark.parametrize(
    ("info", "words"),
    [
        (CameraInfo(width=101, height=81), "K is all zero, which means uncalibrated"),
        (info_of(focal=math.nan), "no camera matrix"),
        (info_of(focal=-100.0), "no camera matrix"),
        (info_of(0, 81, centre=(50.0, 40.0)), "for 0x81"),
        (info_of(distortion=(math.inf, 0.0, 0.0, 0.0, 0.0)), "no distortion"),
        (info_of(distortion=(0.1, 0.0)), "D has 2 coefficients of the model 'plumb_bob'; known are plumb_bob (4 or 5)"),
        (info_of(lens="thin_prism", distortion=(0.1,) * 4), "of the model 'thin_prism'"),
        (info_of(lens="", distortion=(0.1,) * 4), "distortion_model is empty; plumb_bob or equidistant?"),
        (info_of(1, 1, binning_x=2, binning_y=2), "binning 2x2 leaves 0x0 pixels"),
    ],
)
def test_n22_a_useless_camera_info_is_as_none(info: CameraInfo, words: str) -> None:
    check = CameraCheck(RECTIFIED, "refuse")
    verdict = check.update(info)
    assert (verdict.level, verdict.reason) == (DiagnosticStatus.WARN, "camera_unknown")
    assert words in verdict.text
    image_HW3 = coordinates()
    assert check.correct(image_HW3) is image_HW3


def test_a_model_without_a_camera_takes_any() -> None:
    check = CameraCheck(None, "refuse")
    assert check.verdict.level == DiagnosticStatus.OK
    assert check.update(info_of(focal=7.0)).level == DiagnosticStatus.OK


def test_n22_another_size_of_the_same_camera_is_fine() -> None:
    # Twice the pixels: the principal point is half a pixel further from the corner than twice the old one.
    check = CameraCheck(TRAINING, "refuse")
    verdict = check.update(info_of(202, 162, 200.0))
    assert verdict.level == DiagnosticStatus.OK and "202x162" in verdict.text
    image_HW3 = coordinates(162, 202)
    assert check.correct(image_HW3) is image_HW3


@pytest.mark.parametrize(
    ("info", "words"),
    [
        (info_of(focal=106.0), "fx is 106.0 instead of 100.0 px, fy is 106.0 instead of 100.0 px (at 101x81)"),
        (info_of(202, 162, 100.0), "fx is 50.0 instead of 100.0 px"),
        (info_of(centre=(56.0, 40.0)), "cx is 56.0 instead of 50.0 px"),
        (info_of(162, 81), "the sides are 162:81 instead of 101:81"),
    ],
)
def test_n22_another_camera_is_a_mismatch_by_policy(info: CameraInfo, words: str) -> None:
    for policy, level in (("warn", DiagnosticStatus.WARN), ("refuse", DiagnosticStatus.ERROR)):
        check = CameraCheck(TRAINING, policy)
        verdict = check.update(info)
        assert (verdict.level, verdict.reason) == (level, "camera_mismatch")
        assert verdict.refused is (policy == "refuse")
        assert words in verdict.text and "calibration.txt" in verdict.text
        image_HW3 = coordinates(info.height, info.width)
        assert check.correct(image_HW3) is image_HW3


def test_n22_five_percent_are_tolerated() -> None:
    assert CameraCheck(TRAINING).update(info_of(focal=104.9)).level == DiagnosticStatus.OK


def test_unknown_policies_are_refused() -> None:
    with pytest.raises(ValueError, match="'stretch' is unknown, allowed are: warn, refuse, warp"):
        CameraCheck(TRAINING, "stretch")


# What each lens does to a point at RADIUS from the axis, as a factor on x and y, from the model's definition.
ANGLE = math.atan(RADIUS)
LENSES = [
    ("plumb_bob", (-0.5, 0.0, 0.0, 0.0, 0.0), 1 - 0.5 * RADIUS**2),
    ("plumb_bob", (0.0, 0.8, 0.0, 0.0), 1 + 0.8 * RADIUS**4),
    ("", (-0.5, 0.0, 0.0, 0.0, 0.0), 1 - 0.5 * RADIUS**2),  # drivers leave the name out
    ("rational_polynomial", (0.1, 0, 0, 0, 0, 0.6, 0, 0), (1 + 0.1 * RADIUS**2) / (1 + 0.6 * RADIUS**2)),
    ("equidistant", (0.2, 0.0, 0.0, 0.0), ANGLE * (1 + 0.2 * ANGLE**2) / RADIUS),
    ("equidistant", (0.0, 0.0, 0.0, 0.0), ANGLE / RADIUS),  # fault matrix, T21
]


@pytest.mark.parametrize(("lens", "distortion", "factor"), LENSES)
def test_images_are_rectified_for_a_model_of_rectified_images(
    lens: str, distortion: tuple[float, ...], factor: float
) -> None:
    check = CameraCheck(RECTIFIED)
    verdict = check.update(info_of(lens=lens, distortion=tuple(map(float, distortion))))
    assert verdict.level == DiagnosticStatus.OK and f"rectified ({lens or 'plumb_bob'})" in verdict.text
    corrected_HW3 = check.correct(coordinates())
    assert corrected_HW3.shape == (81, 101, 3)
    expected = 40 + 100 * Y * factor, 50 + 100 * X * factor, 255
    np.testing.assert_allclose(corrected_HW3[ROW, COLUMN], expected, atol=0.6)
    np.testing.assert_array_equal(corrected_HW3[40, 50], (40, 50, 255))


def test_images_are_rectified_to_k_where_training_was_and_p_is_another() -> None:
    """Data sets have no P: their images keep K. A robot's P, zoomed by half, is no reason to see another camera."""
    info = info_of(distortion=(-0.5, 0.0, 0.0, 0.0, 0.0))
    info.p = [150.0, 0.0, 50.0, 0.0, 0.0, 150.0, 40.0, 0.0, 0.0, 0.0, 1.0, 0.0]
    check = CameraCheck(RECTIFIED)
    verdict = check.update(info)
    assert verdict.level == DiagnosticStatus.OK and "rectified (plumb_bob)" in verdict.text
    by_k_HW3 = check.correct(coordinates())
    training = replace(TRAINING, distortion_model="plumb_bob", distortion=(-0.5, 0.0, 0.0, 0.0, 0.0))
    np.testing.assert_array_equal(by_k_HW3, Undistorter(training)(coordinates()))
    # A scene that was rectified to that P is met by P.
    by_p = CameraCheck(replace(RECTIFIED, fx=150.0, fy=150.0))
    assert by_p.update(info).level == DiagnosticStatus.OK
    assert not np.array_equal(by_p.correct(coordinates()), by_k_HW3)
    assert CameraCheck(replace(RECTIFIED, fx=200.0)).update(info).reason == "camera_mismatch"


def test_images_of_another_size_than_their_camera_info_are_rectified_as_well() -> None:
    check = CameraCheck(RECTIFIED)
    check.update(info_of(distortion=(-0.5, 0.0, 0.0, 0.0, 0.0)))
    corrected_HW3 = check.correct(coordinates(162, 202))
    x, y = ((150 + 0.5) / 2 - 0.5 - 50) / 100, ((100 + 0.5) / 2 - 0.5 - 40) / 100
    factor = 1 - 0.5 * (x**2 + y**2)
    expected = 2 * (40.5 + 100 * y * factor) - 0.5, 2 * (50.5 + 100 * x * factor) - 0.5, 255
    np.testing.assert_allclose(corrected_HW3[100, 150], expected, atol=0.6)


@pytest.mark.parametrize(
    ("training", "rectified"), [(TRAINING, False), (replace(TRAINING, rectified=False), False), (RECTIFIED, True)]
)
def test_images_are_not_rectified_for_other_models_nor_twice(training: Intrinsics, rectified: bool) -> None:
    check = CameraCheck(training, rectified=rectified)
    assert check.update(info_of(distortion=(-0.5, 0.0, 0.0, 0.0, 0.0))).level == DiagnosticStatus.OK
    image_HW3 = coordinates()
    assert check.correct(image_HW3) is image_HW3


def test_rectified_images_are_compared_by_p_and_raw_ones_by_k() -> None:
    info = info_of(distortion=(-0.5, 0.0, 0.0, 0.0, 0.0))
    info.p[0] = info.p[5] = 80.0
    assert CameraCheck(TRAINING).update(info).level == DiagnosticStatus.OK
    assert "fx is 80.0" in CameraCheck(TRAINING, rectified=True).update(info).text
    info.k[0] = info.k[4] = 90.0
    assert "fx is 80.0" in CameraCheck(RECTIFIED).update(info).text


def test_a_wider_lens_is_warped_to_the_training_camera() -> None:
    check = CameraCheck(TRAINING, "warp")
    verdict = check.update(info_of(focal=50.0))
    assert verdict.level == DiagnosticStatus.OK and "it shows 100%" in verdict.text
    corrected_HW3 = check.correct(coordinates())
    np.testing.assert_allclose(corrected_HW3[ROW, COLUMN], (40 + 50 * Y, 50 + 50 * X, 255), atol=0.6)


def test_a_narrower_lens_shows_a_part_and_reports_the_share() -> None:
    check = CameraCheck(TRAINING, "warp")
    verdict = check.update(info_of(focal=200.0))
    assert (verdict.level, verdict.reason) == (DiagnosticStatus.WARN, "camera_mismatch")
    share = float(verdict.text.split("it shows ")[1].rstrip("%")) / 100
    assert share == pytest.approx(0.25, abs=0.02)
    corrected_HW3 = check.correct(coordinates())
    np.testing.assert_allclose(corrected_HW3[45, 60], (40 + 200 * 0.05, 50 + 200 * 0.1, 255), atol=0.6)
    assert (corrected_HW3[ROW, COLUMN] == 0).all()


def test_warping_removes_the_distortion_where_the_model_has_none() -> None:
    info = info_of(focal=50.0, distortion=(-0.5, 0.0, 0.0, 0.0, 0.0))
    factor = 1 - 0.5 * RADIUS**2
    for training, lens in ((RECTIFIED, factor), (TRAINING, 1.0)):
        check = CameraCheck(training, "warp")
        check.update(info)
        expected = 40 + 50 * Y * lens, 50 + 50 * X * lens, 255
        np.testing.assert_allclose(check.correct(coordinates())[ROW, COLUMN], expected, atol=0.6)


def test_other_sides_are_warped_to_the_training_cameras() -> None:
    check = CameraCheck(TRAINING, "warp")
    check.update(info_of(202, 81))
    corrected_HW3 = check.correct(coordinates(81, 202))
    assert corrected_HW3.shape == (115, 143, 3)  # as many pixels, with the sides of the training images
    scale = 143 / 101
    row, column = ROW, COLUMN
    x, y = ((column + 0.5) / scale - 0.5 - 50) / 100, ((row + 0.5) / (115 / 81) - 0.5 - 40) / 100
    np.testing.assert_allclose(corrected_HW3[row, column], (40 + 100 * y, 100.5 + 100 * x, 255), atol=0.6)


def test_a_matching_camera_is_not_warped() -> None:
    check = CameraCheck(TRAINING, "warp")
    check.update(info_of(focal=102.0))
    image_HW3 = coordinates()
    assert check.correct(image_HW3) is image_HW3


def test_binning_and_region_of_interest_are_part_of_the_camera() -> None:
    binned = info_of(202, 162, 200.0, binning_x=2, binning_y=2)
    window = info_of(201, 161, roi=RegionOfInterest(x_offset=50, y_offset=40, width=101, height=81))
    for info in (binned, window):
        assert CameraCheck(TRAINING).update(info).text.startswith("it is the training camera")


@pytest.mark.parametrize("policy", ["warn", "refuse", "warp"])
def test_n45_images_of_another_aspect_ratio_than_their_camera_info_are_refused(policy: str) -> None:
    """By every policy: the CameraInfo is not theirs. In another size they are its own again."""
    check = CameraCheck(RECTIFIED, policy)
    assert not check.update(info_of(distortion=(-0.5, 0.0, 0.0, 0.0, 0.0))).refused
    for (width, height), difference in (((101, 50), "another aspect ratio"), ((81, 101), "width and height are exch")):
        image_HW3 = coordinates(height, width)
        assert check.correct(image_HW3) is image_HW3
        assert check.verdict.refused and check.verdict.reason == "camera_mismatch"
        assert f"{width}x{height}, but their CameraInfo is for 101x81: {difference}" in check.verdict.text
    check.correct(coordinates(162, 202))
    assert not check.verdict.refused


@pytest.mark.parametrize(("policy", "is_refused"), [("warn", False), ("refuse", True)])
def test_n45_without_camera_info_the_aspect_ratio_alone_shows_another_camera(policy: str, is_refused: bool) -> None:
    check = CameraCheck(TRAINING, policy)
    check.correct(coordinates(101, 81))
    assert (check.verdict.reason, check.verdict.refused) == ("camera_mismatch", is_refused)
    assert "no CameraInfo received, and images of 81x101 are not those of the training camera" in check.verdict.text
    check.correct(coordinates(162, 202))
    assert (check.verdict.reason, check.verdict.refused) == ("camera_unknown", False)


def test_maps_are_made_once_per_camera() -> None:
    check = CameraCheck(RECTIFIED)
    check.update(info_of(distortion=(-0.5, 0.0, 0.0, 0.0, 0.0)))
    check.correct(coordinates())
    made = check._maps
    later = info_of(distortion=(-0.5, 0.0, 0.0, 0.0, 0.0))
    later.header.stamp.sec = 9
    check.update(later)
    check.correct(coordinates())
    assert made is not None and check._maps is made
    check.update(info_of(distortion=(-0.4, 0.0, 0.0, 0.0, 0.0)))
    expected = 50 + 100 * X * (1 - 0.4 * RADIUS**2)
    assert check.correct(coordinates())[ROW, COLUMN, 1] == pytest.approx(expected, abs=0.6)


def test_an_extreme_camera_info_allocates_no_memory() -> None:
    check = CameraCheck(TRAINING, "warp")
    check.update(info_of(4_000_000_000, 4_000_000_000, 1e12))
    assert check.correct(coordinates(40, 40)).size < 100_000


def test_n22_a_model_rectified_to_k_gets_no_rotation_of_a_stereo_camera() -> None:
    """Its data set had no R: the live image is the one that its `Undistorter` makes."""
    lens = (-0.2, 0.05, 0.0, 0.0, 0.0)
    info = info_of(distortion=lens)
    info.p[0] = info.p[5] = 80.0  # another matrix than K, as stereo rectification has
    angle = math.radians(5)
    info.r = [math.cos(angle), 0.0, math.sin(angle), 0.0, 1.0, 0.0, -math.sin(angle), 0.0, math.cos(angle)]
    check = CameraCheck(RECTIFIED)
    assert check.update(info).level == DiagnosticStatus.OK
    expected_HW3 = Undistorter(replace(TRAINING, distortion_model="plumb_bob", distortion=lens))(coordinates())
    assert np.abs(check.correct(coordinates()).astype(int) - expected_HW3).max() <= 1

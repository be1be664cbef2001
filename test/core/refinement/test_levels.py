"""Normalised images: what changes of the light leave of them, and that noise is not made to look like texture."""

from __future__ import annotations

import numpy as np
import pytest
from core.refinement.room_views import RoomViews
from hypothesis import given, settings
from hypothesis import strategies as st

from transposenet_core.refinement.levels import CONTRAST, MIDDLE, SPREAD_PX, grey_of, locally_normalised, sizes_of


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 5), st.floats(0.5, 1.5), st.floats(-30, 30))
def test_gain_and_offset_change_little(room: RoomViews, number: int, gain: float, offset: float) -> None:
    grey_HW = 0.5 * grey_of(room.queries[number].image_HW3, (160, 120)) + 50  # neither gain nor offset saturates it
    before_HW = locally_normalised(grey_HW.astype(np.uint8), SPREAD_PX).astype(float)
    after_HW = locally_normalised((np.clip(gain * (grey_HW - 50) + 50 + offset, 0, 255)).astype(np.uint8), SPREAD_PX)
    # What remains is in the flat parts, which are not scaled up to the same contrast.
    changed_HW = np.abs(after_HW - before_HW)
    assert changed_HW.mean() < 0.25 * np.abs(before_HW - MIDDLE).mean() + 3
    assert np.corrcoef(before_HW.ravel(), after_HW.ravel())[0, 1] > 0.93
    if abs(gain - 1) < 0.05:
        assert changed_HW.mean() < 4


@pytest.mark.parametrize("value", [0, 1, 128, 255])
def test_a_flat_image_stays_flat(value: int) -> None:
    for image_HW in sizes_of(np.full((120, 160), value, np.uint8)):
        assert np.abs(image_HW.astype(int) - MIDDLE).max() <= 1


def test_noise_of_a_flat_image_is_not_made_texture() -> None:
    rng = np.random.default_rng(0)
    noisy_HW = np.clip(np.rint(100 + rng.normal(0, 1, (120, 160))), 0, 255).astype(np.uint8)
    for image_HW in sizes_of(noisy_HW):
        assert image_HW.std() < 0.25 * CONTRAST  # texture has all of it


def test_texture_gets_the_same_contrast_everywhere() -> None:
    rng = np.random.default_rng(0)
    amplitude_HW = np.linspace(20, 60, 160)
    image_HW = locally_normalised((128 + amplitude_HW * rng.uniform(-1, 1, (120, 160))).astype(np.uint8), SPREAD_PX)
    left, right = image_HW[:, 20:60].std(), image_HW[:, 100:140].std()
    assert left == pytest.approx(right, rel=0.15) and 0.7 * CONTRAST < right < 1.2 * CONTRAST


@pytest.mark.parametrize("size", [(160, 120), (120, 160), (640, 480), (16, 16)])
def test_images_of_any_size_become_the_asked_one(size: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    for shape in ((120, 160, 3), (97, 33, 3), (1, 1, 3)):
        grey_HW = grey_of(rng.integers(0, 256, shape, dtype=np.uint8), size)
        assert grey_HW.shape == size[::-1] and grey_HW.dtype == np.uint8
    small_HW, whole_HW = sizes_of(grey_HW)
    assert small_HW.shape == (size[1] // 2, size[0] // 2) and whole_HW.shape == size[::-1]


def test_grey_is_the_mean_of_the_pixels() -> None:
    image_HW3 = np.zeros((240, 320, 3), np.uint8)
    image_HW3[:, ::2] = 200  # stripes that single samples would miss
    assert np.abs(grey_of(image_HW3, (160, 120)).astype(int) - 100).max() <= 1
    colours = [int(grey_of(np.full((4, 4, 3), colour, np.uint8), (4, 4))[0, 0]) for colour in np.eye(3) * 255]
    assert colours[1] > colours[0] > colours[2]  # red, green, blue by their brightness

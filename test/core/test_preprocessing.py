"""One preprocessing for training and running, and augmentation that stays within its bounds."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from transposenet_core.errors import UserError
from transposenet_core.preprocessing import IMAGENET_MEAN, IMAGENET_STD, Preprocessing, normalise
from transposenet_core.training.augmentation.views import RANDOM_NUMBERS, augmented, colour_jitter, windows
from transposenet_core.training.config import AugmentationConfig


def random_image(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


@settings(deadline=None, max_examples=40)
@given(st.integers(4, 400), st.integers(4, 400))
def test_every_image_becomes_the_networks_size(height: int, width: int) -> None:
    preprocessing = Preprocessing(64, (56, 56))
    resized = preprocessing.resize(random_image(height, width))
    assert min(resized.shape[1:]) >= 56
    assert preprocessing(random_image(height, width)).shape == (1, 3, 56, 56)


def test_the_papers_numbers() -> None:
    # section 4: "its smaller edge is resized to 256 pixels ... 224 x 224 crop ... At test time we take the center crop"
    resized = Preprocessing().resize(random_image(480, 640))
    assert resized.shape == (3, 256, 341)
    torch.testing.assert_close(Preprocessing().crop(resized), resized[:, 16:240, 58:282])


def test_a_4_3_image_can_be_kept_whole() -> None:
    resized = Preprocessing(96, (96, 128)).resize(random_image(480, 640))
    assert resized.shape == (3, 96, 128)


def test_training_and_running_see_the_same_numbers() -> None:
    """The cached, batched way of training and the one-image way of the localizer differ by less than 1e-6."""
    preprocessing = Preprocessing(96, (96, 128))
    images = [random_image(480, 640, seed) for seed in range(3)]
    cached = torch.stack([preprocessing.resize(image) for image in images])
    trained = augmented(
        cached,
        torch.arange(3),
        torch.rand(3, RANDOM_NUMBERS),
        preprocessing,
        AugmentationConfig(random_crop=False, colour_jitter=0.0),
    )
    running = torch.cat([preprocessing(image) for image in images])
    assert (trained - running).abs().max() <= 1e-6


def test_normalisation_is_imagenets() -> None:
    grey = normalise(torch.full((1, 3, 2, 2), 255, dtype=torch.uint8))
    expected = [(1 - mean) / std for mean, std in zip(IMAGENET_MEAN, IMAGENET_STD, strict=True)]
    torch.testing.assert_close(grey[0, :, 0, 0], torch.tensor(expected))


@pytest.mark.parametrize("array", [np.zeros((4, 4, 3)), np.zeros((4, 4), np.uint8), np.zeros((0, 4, 3), np.uint8)])
def test_what_is_no_image_is_refused(array: np.ndarray) -> None:
    with pytest.raises(ValueError, match="uint8 RGB image is needed"):
        Preprocessing()(array)


def test_a_strip_is_refused_before_it_is_blown_up() -> None:
    with pytest.raises(UserError, match="an image of 20000x1 pixels is a strip"):
        Preprocessing()(np.zeros((1, 20000, 3), np.uint8))


def test_random_crops_are_windows_of_their_image_and_differ() -> None:
    preprocessing = Preprocessing(64, (32, 32))
    image = torch.arange(64 * 80).view(1, 1, 64, 80).expand(8, 3, 64, 80)
    tops, lefts = torch.tensor([0, 32, 7]), torch.tensor([48, 0, 9])
    cut = windows(image, torch.tensor([0, 5, 2]), tops, lefts, preprocessing.image_size)
    for window, top, left in zip(cut, tops, lefts, strict=True):
        torch.testing.assert_close(window, image[0, :, top : top + 32, left : left + 32])


def test_random_numbers_choose_the_crop_and_a_centre_crop_uses_none() -> None:
    preprocessing = Preprocessing(64, (32, 32))
    image = torch.from_numpy(np.stack([random_image(64, 80, seed) for seed in range(4)])).permute(0, 3, 1, 2)
    random_numbers = torch.rand(4, RANDOM_NUMBERS, generator=torch.Generator().manual_seed(1))
    moved, centred = (
        augmented(
            image,
            torch.arange(4),
            random_numbers,
            preprocessing,
            AugmentationConfig(random_crop=crop, colour_jitter=0.0),
        )
        for crop in (True, False)
    )
    torch.testing.assert_close(centred, normalise(preprocessing.crop(image)))
    top, left = int(33 * random_numbers[0, 0]), int(49 * random_numbers[0, 1])
    torch.testing.assert_close(moved[:1], normalise(image[:1, :, top : top + 32, left : left + 32]))


def test_jitter_stays_in_range_and_zero_changes_nothing() -> None:
    image = torch.from_numpy(random_image(8, 8)).permute(2, 0, 1)[None].expand(5, 3, 8, 8)
    first = colour_jitter(image, 0.5, torch.rand(5, 3, generator=torch.Generator().manual_seed(0)))
    assert 0 <= first.min() and first.max() <= 255
    assert (first[0] - first[1]).abs().max() > 1  # each image has factors of its own
    torch.testing.assert_close(colour_jitter(image, 0.0, torch.rand(5, 3)), image.float())


def test_the_window_is_where_the_crop_came_from() -> None:
    # 480x640 is resized to 256x341, of which rows 16..240 and columns 58..282 are kept; 96x128 keeps a 4:3 image.
    assert Preprocessing().window(480, 640) == pytest.approx((30, 58 / 341 * 640, 450, 282 / 341 * 640))
    assert Preprocessing(96, (96, 128)).window(480, 640) == (0, 0, 480, 640)


@settings(deadline=None, max_examples=40)
@given(st.integers(40, 300), st.integers(40, 300))
def test_the_crop_of_a_gradient_tells_the_window(height: int, width: int) -> None:
    """Pixels that hold their own row and column: the crop's means are those of the window."""
    preprocessing = Preprocessing(64, (48, 56))
    rows, columns = np.mgrid[0:height, 0:width]
    gradient = np.stack([rows, columns, columns], axis=-1) * 255 / 300
    seen = preprocessing.crop(preprocessing.resize(np.round(gradient).astype(np.uint8))).float() * 300 / 255
    top, left, bottom, right = preprocessing.window(height, width)
    assert abs(float(seen[0].mean()) - ((top + bottom) / 2 - 0.5)) < 1.5
    assert abs(float(seen[1].mean()) - ((left + right) / 2 - 0.5)) < 1.5

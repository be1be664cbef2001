"""Blur, noise and erasing: each is as strong as its random number, and 0 leaves the image unchanged."""

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from transposenet_core.preprocessing import Preprocessing
from transposenet_core.training.augmentation.image_corruptions import blurred, erased, noised
from transposenet_core.training.augmentation.views import ERASING, RANDOM_NUMBERS, views_of_scene
from transposenet_core.training.config import AugmentationConfig
from transposenet_core.training.data.pixels import PosedPixels


def random_image(count: int = 1, size: tuple[int, int] = (24, 32)) -> torch.Tensor:
    return torch.randint(0, 256, (count, 3, *size), generator=torch.Generator().manual_seed(1)).float()


@pytest.mark.parametrize("share", [0.5, 1.0])
def test_a_blur_is_a_gaussian_of_the_sampled_width(share: float) -> None:
    image = random_image()
    ours = blurred(image, 1.5, torch.tensor([share]))[0].permute(1, 2, 0).numpy()
    # The kernel reaches to three of the largest standard deviations, 5 pixels.
    theirs = cv2.GaussianBlur(
        image[0].permute(1, 2, 0).numpy(), (11, 11), sigmaX=1.5 * share, borderType=cv2.BORDER_REPLICATE
    )
    assert np.abs(ours - theirs).max() < 1e-3


def test_a_random_number_of_0_changes_nothing() -> None:
    image, zero = random_image(2), torch.zeros(2)
    assert torch.equal(blurred(image, 2.0, zero), image)
    assert torch.equal(noised(image, 20.0, zero), image)
    assert torch.equal(erased(image, 0.5, torch.zeros(2, 4)), image)


def test_noise_has_the_sampled_deviation_in_each_image() -> None:
    torch.manual_seed(0)
    image = torch.full((2, 3, 64, 64), 128.0)
    spread = (noised(image, 10.0, torch.tensor([0.2, 1.0])) - image).std(dim=(1, 2, 3))
    assert spread.tolist() == pytest.approx([2, 10], rel=0.05)
    assert noised(torch.full((1, 3, 8, 8), 255.0), 50.0, torch.ones(1)).max() <= 255


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(0, 0.999), min_size=4, max_size=4), st.floats(0.1, 1.0))
def test_what_is_erased_is_one_rectangle_of_the_sampled_size(random_numbers: list[float], strength: float) -> None:
    gone = (erased(torch.ones(1, 3, 24, 32), strength, torch.tensor([random_numbers])) == 0)[0]
    assert torch.equal(gone[0], gone[2])
    rows, columns = gone[0].any(dim=1), gone[0].any(dim=0)
    assert torch.equal(gone[0], rows[:, None] & columns[None])
    for there, side, share in ((rows, 24, random_numbers[0]), (columns, 32, random_numbers[1])):
        if gone.any():
            assert abs(int(there.sum()) - side * strength * share) <= 1
            first, last = there.nonzero()[[0, -1], 0].tolist()
            assert last - first + 1 == int(there.sum())


def test_views_are_corrupted_as_configured_and_not_by_default() -> None:
    pixels = PosedPixels(random_image(2).byte(), torch.zeros(2, 3), torch.tensor([[1.0, 0, 0, 0]]).repeat(2, 1))
    random_numbers = torch.full((2, RANDOM_NUMBERS), 0.5)
    random_numbers[1, ERASING] = 0.0

    def seen(**options: float) -> torch.Tensor:
        torch.manual_seed(0)
        config = AugmentationConfig(random_crop=False, colour_jitter=0.0, **options)
        return views_of_scene(pixels, torch.arange(2), random_numbers, Preprocessing(24, (24, 32)), config).image_B3HW

    plain = seen()
    for options in ({"blur": 1.0}, {"noise": 10.0}):
        assert all((seen(**options) - plain).abs().amax(dim=(1, 2, 3)) > 0)
    covered = seen(erasing=0.5)
    assert (covered[0] == 0).all(dim=0).sum() == 6 * 8 and torch.equal(covered[1], plain[1])

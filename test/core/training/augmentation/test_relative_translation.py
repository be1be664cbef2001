"""Steps of the camera relative to what its image shows: on a table top as in a street, and none without depth."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from transposenet_core.errors import UserError
from transposenet_core.geometry.intrinsics import Intrinsics
from transposenet_core.preprocessing import Preprocessing
from transposenet_core.training.augmentation.views import RANDOM_NUMBERS, steps, views_of_scene
from transposenet_core.training.config import AugmentationConfig, VirtualRotationConfig
from transposenet_core.training.config_reading import load_config
from transposenet_core.training.data.distances import Distances
from transposenet_core.training.data.pixels import PosedPixels

CONFIG = AugmentationConfig(
    random_crop=False, colour_jitter=0.0, virtual_rotation=VirtualRotationConfig(yaw=5.0), relative_translation=0.12
)
CAMERA = Intrinsics(80, 60, 80.0, 80.0, 39.5, 29.5)


def wall_and_background(unit: float) -> torch.Tensor:
    """Depths (4, 60, 80): a room's wall, a railing before a city, the city alone, and nothing measured."""
    depth_NHW = torch.full((4, 60, 80), 1.6)
    depth_NHW[1, 40:], depth_NHW[1, :40] = 1.2, 170.0
    depth_NHW[2], depth_NHW[3] = 170.0, -1.6
    return unit * depth_NHW


def test_in_a_room_it_is_20_cm_and_never_more_than_the_near_things_allow() -> None:
    found = steps(Distances.of(wall_and_background(1.0)), CONFIG)
    assert found[0] == pytest.approx(0.192) and found[3] == 0
    assert found[1] == pytest.approx(0.12 * 2 * 1.2)  # the railing's, not that of the harmonic mean (3.5)
    assert found[2] == pytest.approx(0.12 * 1.5 * Distances.of(wall_and_background(1.0)).scene)


@settings(max_examples=10, deadline=None)
@given(st.floats(0.02, 50))
def test_views_of_a_scene_of_another_scale_are_the_same(unit: float) -> None:
    image = torch.randint(0, 256, (4, 3, 60, 80), generator=torch.Generator().manual_seed(1)).to(torch.uint8)
    random_BK = torch.rand(4, RANDOM_NUMBERS, generator=torch.Generator().manual_seed(2))
    config, made = replace(CONFIG, view_completion=1.0), []
    for scale in (1.0, unit):
        position_N3 = scale * torch.tensor([[0.0, 0, 0], [0.1, 0, 0], [0, 0.2, 0], [0, 0, 0.3]])
        orientation_N4 = torch.tensor([[1.0, 0, 0, 0]] * 4)
        pixels = PosedPixels(image, position_N3, orientation_N4, CAMERA, wall_and_background(scale))
        made.append(views_of_scene(pixels, torch.arange(4), random_BK, Preprocessing(60, (60, 80)), config))
    one, other = made
    torch.testing.assert_close(other.position_B3, unit * one.position_B3, rtol=1e-4, atol=1e-5 * unit)
    assert ((other.image_B3HW - one.image_B3HW).abs() > 0.05).float().mean() < 0.01  # a pixel rounded the other way
    assert one.depth_BHW is not None and other.depth_BHW is not None
    both = (one.depth_BHW > 0) & (other.depth_BHW > 0)
    ratio = (other.depth_BHW[both] / one.depth_BHW[both] / unit).numpy()
    assert np.mean(np.abs(ratio - 1) < 1e-3) > 0.99
    # Without depth the camera stays where it was, and is rotated.
    torch.testing.assert_close(one.position_B3[3], torch.tensor([0.0, 0, 0.3]), rtol=0, atol=1e-6)
    assert (one.orientation_B4[3] - torch.tensor([1.0, 0, 0, 0])).abs().max() > 1e-3


def test_t11_two_kinds_of_steps_are_refused() -> None:
    both = ["augmentation.virtual_translation=0.1", "augmentation.relative_translation=0.1"]
    with pytest.raises(
        UserError, match=r"virtual_translation is 0\.1 and relative_translation 0\.1.*set the other to 0"
    ):
        load_config(None, both)

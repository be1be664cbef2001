"""Attention on request: the maps of both encoders, and the same pose with and without them."""

import numpy as np
import pytest
from untrained import save_untrained

from transposenet_core.localizer import Localizer
from transposenet_core.preprocessing import Preprocessing

PICTURES = np.random.default_rng(2).integers(0, 256, (4, 60, 80, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def localizer(tmp_path_factory: pytest.TempPathFactory) -> Localizer:
    folder = tmp_path_factory.mktemp("model") / "textures"
    return Localizer(save_untrained(folder, PICTURES, Preprocessing(64, (64, 80))), device="cpu")


def test_attention_is_there_on_request_alone_and_changes_no_pose(localizer: Localizer) -> None:
    plain, asked = (localizer.localize(PICTURES[0], with_attention=wanted) for wanted in (False, True))
    assert plain.attention == {}
    assert plain.pose is not None and asked.pose is not None
    np.testing.assert_array_equal(asked.pose.position, plain.pose.position)
    np.testing.assert_array_equal(asked.pose.orientation, plain.pose.orientation)
    assert {name: map_HW.shape for name, map_HW in asked.attention.items()} == {
        "position": (4, 5),  # reduction level 4 of a 64x80 window
        "orientation": (8, 10),
    }
    for map_HW in asked.attention.values():
        assert map_HW.dtype == np.float32 and map_HW.min() >= 0 and 0 < map_HW.sum() <= 1


def test_attention_follows_the_picture(localizer: Localizer) -> None:
    first, second = (localizer.localize(image_HW3, with_attention=True).attention for image_HW3 in PICTURES[:2])
    for name in ("position", "orientation"):
        assert np.abs(first[name] - second[name]).max() > 1e-6, name

"""The heat map lies where the network attends, on the part of the image that it receives."""

from __future__ import annotations

import numpy as np
import pytest
from std_msgs.msg import Header

from transposenet_core.inspection.attention_overlay import overlay
from transposenet_core.localizer import Localizer
from transposenet_core.preprocessing import Preprocessing
from transposenet_ros.output.conversions import rgb8_message

WHOLE = Preprocessing(60, (60, 80))  # keeps a 4:3 image whole
SQUARE = Preprocessing(256, (224, 224))  # the paper's: of 480x640 rows 30..450, columns 108.9..529.3


def grey(height: int, width: int) -> np.ndarray:
    return np.full((height, width, 3), 100, np.uint8)


@pytest.mark.parametrize("cell", [(0, 0), (2, 3), (5, 7)])
def test_the_cell_that_is_attended_to_is_the_brightest_place(cell: tuple[int, int]) -> None:
    attention_HW = np.full((6, 8), 0.001, np.float32)
    attention_HW[cell] = 0.9
    drawn_HW3 = overlay(grey(120, 160), attention_HW, WHOLE)
    cells = drawn_HW3.sum(axis=-1).reshape(6, 20, 8, 20).mean(axis=(1, 3))
    assert np.unravel_index(cells.argmax(), cells.shape) == cell


def test_what_the_network_does_not_receive_is_dark_and_has_no_heat() -> None:
    drawn_HW3 = overlay(grey(480, 640), np.ones((14, 14), np.float32), SQUARE)
    seen = np.zeros((480, 640), bool)
    seen[30:450, 108:530] = True
    assert (drawn_HW3[~seen] == 20).all()
    assert (drawn_HW3[seen].astype(int).sum(axis=-1) > 300).all()


def test_weak_attention_leaves_the_image_as_it_is_but_darker() -> None:
    attention_HW = np.zeros((6, 8), np.float32)
    attention_HW[0, 0] = 1
    image_HW3 = np.random.default_rng(0).integers(0, 256, (120, 160, 3), dtype=np.uint8)
    far_HW3 = overlay(image_HW3, attention_HW, WHOLE)[60:, 80:].astype(int)
    assert np.abs(far_HW3 - image_HW3[60:, 80:] / 2).max() <= 4  # the darkest colour of the map is not quite black


@pytest.mark.parametrize("fill", [0.0, np.nan, np.inf])
def test_a_map_without_a_greatest_place_is_drawn_all_the_same(fill: float) -> None:
    image_HW3 = grey(40, 50)
    assert overlay(image_HW3, np.full((3, 4), fill, np.float32), SQUARE).shape == image_HW3.shape


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (3, 200), (200, 3)])
def test_any_size_of_image_is_drawn(size: tuple[int, int]) -> None:
    for preprocessing in (WHOLE, SQUARE, Preprocessing(512, (100, 100))):
        assert overlay(grey(*size), np.ones((2, 2), np.float32), preprocessing).shape == (*size, 3)


def test_of_a_real_network_and_as_a_message(localizer: Localizer, image_HW3: np.ndarray) -> None:
    attention = localizer.localize(image_HW3, with_attention=True).attention
    drawn = {k: overlay(image_HW3, v, localizer.scene_model.preprocessing) for k, v in attention.items()}
    assert np.abs(drawn["position"].astype(int) - drawn["orientation"]).max() > 20
    message = rgb8_message(Header(frame_id="camera"), drawn["position"])
    assert (message.encoding, message.height, message.width, message.step) == ("rgb8", 64, 96, 288)
    received_HW3 = np.frombuffer(message.data, np.uint8).reshape(64, 96, 3)
    np.testing.assert_array_equal(received_HW3, drawn["position"])

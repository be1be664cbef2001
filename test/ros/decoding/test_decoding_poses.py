"""One view of the demo room in every encoding, through the demo's scene model: what counts is that the pose stays."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import pytest
import torch
from image_messages import GREY_ENCODINGS, compressed, encoded, message_of, samples_of
from live import ROOT

from transposenet_core.geometry.pose import rotation_angle_deg
from transposenet_core.localizer import Localizer
from transposenet_ros.decoding.image_decoding import ENCODINGS, decode_image

METRES, DEGREES = 0.01, 0.2
THUMBNAIL = 24, 32
COLOUR_ENCODINGS = [name for name in ENCODINGS if name not in GREY_ENCODINGS]
Distance = Callable[[np.ndarray, np.ndarray], tuple[float, float]]


@pytest.fixture(scope="module")
def view_HW3() -> np.ndarray:
    """A training view as a camera's 640x480; the model's own input is 96x128."""
    grid_HW3 = cv2.imread(str(ROOT / "demo" / "model" / "training_thumbnails.png"))[..., ::-1]
    height, width = THUMBNAIL
    thumbnail_HW3 = grid_HW3[5 * height : 6 * height, 20 * width : 21 * width]
    return cv2.resize(thumbnail_HW3, (640, 480), interpolation=cv2.INTER_CUBIC)


@pytest.fixture(scope="module")
def distance() -> Distance:
    """Metres and degrees between the poses of two images."""
    torch.set_num_threads(1)
    localizer = Localizer(ROOT / "demo" / "model", device="cpu")

    def between(image_HW3: np.ndarray, other_HW3: np.ndarray) -> tuple[float, float]:
        one, other = localizer.localize(image_HW3).pose, localizer.localize(other_HW3).pose
        assert one is not None and other is not None
        rotation = rotation_angle_deg(one.orientation, other.orientation)
        return float(np.linalg.norm(one.position - other.position)), float(rotation)

    return between


def test_n06_every_colour_encoding_gives_the_same_pose(view_HW3: np.ndarray, distance: Distance) -> None:
    messages = {name: message_of(name, view_HW3, padding=4) for name in COLOUR_ENCODINGS}
    messages["jpeg"] = compressed(encoded(".jpg", view_HW3[..., ::-1]))
    messages["png"] = compressed(encoded(".png", view_HW3[..., ::-1]), "png")
    far = {}
    for name, message in messages.items():
        metres, degrees = distance(decode_image(message), view_HW3)
        if metres > METRES or degrees > DEGREES:
            far[name] = (metres, degrees)
    assert not far


def test_n06_grey_encodings_give_the_pose_of_the_grey_image(view_HW3: np.ndarray, distance: Distance) -> None:
    """Their own tolerance: a model trained on colours returns another pose for an image without them."""
    grey_HW3 = np.repeat(samples_of("mono8", view_HW3)[..., None], 3, axis=-1)
    for name in GREY_ENCODINGS:
        metres, degrees = distance(decode_image(message_of(name, view_HW3)), grey_HW3)
        assert metres <= METRES and degrees <= DEGREES, name


def test_n06_the_tolerance_would_show_a_misread_encoding(view_HW3: np.ndarray, distance: Distance) -> None:
    """Red and blue swapped, a mosaic read from the wrong corner, U and V swapped: all far outside."""
    misread = [("rgb8", "bgr8"), ("bayer_rggb8", "bayer_bggr8"), ("bayer_gbrg8", "bayer_grbg8"), ("yuyv", "uyvy")]
    for sent, read in misread:
        message = message_of(sent, view_HW3)
        message.encoding = read
        metres, degrees = distance(decode_image(message), view_HW3)
        assert metres > 10 * METRES and degrees > 5 * DEGREES, (sent, read)

"""The core's heat maps as messages."""

from __future__ import annotations

import array

import numpy as np
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from transposenet_core.attention_overlay import overlay

__all__ = ["overlay", "rgb8_message"]


def rgb8_message(header: Header, image_HW3: np.ndarray) -> Image:
    """A picture (H, W, 3) uint8 RGB as a message without row padding."""
    height, width = image_HW3.shape[:2]
    message = Image(header=header, height=height, width=width, encoding="rgb8", step=3 * width)
    message.data = array.array("B", image_HW3.tobytes())  # rclpy checks an ndarray byte by byte: 50 ms
    return message

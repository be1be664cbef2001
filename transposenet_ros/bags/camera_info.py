"""CameraInfo, of a recording or of a live camera: where it is published, and when two are of the same camera."""

from __future__ import annotations

from typing import Any

import numpy as np


def raw_topic(topic: str) -> str:
    """The name that image_transport has for an image topic, without the transport."""
    return topic.removesuffix("/compressed").removesuffix("/compressedDepth")


def info_topic_beside(topic: str) -> str:
    """The topic of CameraInfo beside that of the images, as everywhere in ROS."""
    return raw_topic(topic).rpartition("/")[0] + "/camera_info"


def camera_content(info: Any) -> tuple:
    """All of a CameraInfo but its header, with ROS 2's names: equal where the cameras are."""
    roi = info.roi
    arrays = (np.asarray(values, np.float64).tobytes() for values in (info.d, info.k, info.r, info.p))
    sizes = info.width, info.height, info.binning_x, info.binning_y, roi.x_offset, roi.y_offset, roi.width, roi.height
    return *sizes, info.distortion_model, *arrays

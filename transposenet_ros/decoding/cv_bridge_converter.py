"""ROS's own cv_bridge as the converter of raw images, on machines that have it."""

from __future__ import annotations

import array
import importlib
import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
from ament_index_python.packages import PackageNotFoundError, get_package_prefix
from sensor_msgs.msg import Image

from transposenet_core.errors import UserError
from transposenet_ros.decoding.encodings import Encoding
from transposenet_ros.decoding.errors import DecodeFailed


class CvBridgeConverter:
    """Converts what the gate has admitted. UserError where cv_bridge is absent, something else of that name, or broken.

    That `import cv_bridge` succeeds proves nothing: a package registry has another one, which breaks on numpy 2. The
    real one is in ROS's index of packages, lies in the folder named there, and converts an image of two pixels right.
    """

    def __init__(self) -> None:
        try:
            self._bridge: Any = _import_from_ros().CvBridge()
            blue_red = Image(encoding="bgr8", width=2, height=1, step=6, data=array.array("B", [255, 0, 0, 0, 0, 255]))
            output = np.asarray(self._bridge.imgmsg_to_cv2(blue_red, "rgb8")).tolist()
        except Exception as error:  # one built for another numpy can raise anything
            raise _unusable(str(error) or type(error).__name__) from error
        if output != [[[0, 0, 255], [255, 0, 0]]]:
            raise _unusable(f"a blue and a red pixel became {output}")

    def __call__(self, message: Image, encoding: Encoding) -> np.ndarray:
        """(H, W, 3) uint8 RGB. Raises DecodeFailed with cv_bridge's message."""
        try:
            return np.ascontiguousarray(self._bridge.imgmsg_to_cv2(message, "rgb8"))
        except Exception as error:  # noqa: BLE001 - it raises more kinds than its own CvBridgeError
            raise DecodeFailed(f"cv_bridge refuses a {message.encoding} image: {error}") from None


def _import_from_ros() -> Any:
    try:
        prefix = get_package_prefix("cv_bridge")
    except (PackageNotFoundError, LookupError):
        raise LookupError("no sourced ROS has the package cv_bridge") from None
    spec = importlib.util.find_spec("cv_bridge")
    origin = Path(spec.origin) if spec and spec.origin else None
    if origin is None or not origin.is_relative_to(prefix):
        raise LookupError(f"Python finds {origin or 'none'} where ROS has one below {prefix}")
    return importlib.import_module("cv_bridge")


def _unusable(what: str) -> UserError:
    return UserError(
        f"parameter 'decoder' is 'cv_bridge', which cannot be used: {what}; install ros-jazzy-cv-bridge and source "
        "ROS, or set it to 'builtin'"
    )

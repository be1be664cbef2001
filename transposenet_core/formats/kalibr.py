"""Kalibr's camchain.yaml, which TUM VI has instead of a sensor.yaml for each camera (in dso/).

Convention: T_cam_imu takes a point of the IMU's frame to the camera's optical frame: it is inverted to become EuRoC's
T_BS. Resolution, intrinsics and distortion have EuRoC's meaning, under other keys (Kalibr wiki, yaml formats).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from transposenet_core.errors import UserError

KEYS = {  # Kalibr's -> those of sensor.yaml
    "resolution": "resolution",
    "intrinsics": "intrinsics",
    "camera_model": "camera_model",
    "distortion_model": "distortion_model",
    "distortion_coeffs": "distortion_coefficients",
}


def sensor_of(path: Path, content: dict[str, Any], camera: str) -> dict[str, Any]:
    """The entry of `camera` in a camchain.yaml's `content`, with the keys of a sensor.yaml. UserError without one."""
    entry = content.get(camera)
    if not isinstance(entry, dict):
        raise UserError(f"{path}: no camera {camera} in it, there are {', '.join(map(str, content)) or 'none'}")
    try:
        T_camera_body_44 = np.array(entry["T_cam_imu"], np.float64).reshape(4, 4)
        T_body_camera_44 = np.linalg.inv(T_camera_body_44)
    except (KeyError, TypeError, ValueError, np.linalg.LinAlgError) as error:
        raise UserError(
            f"{path}: {camera} has no 4x4 matrix T_cam_imu ({error!r}), which says where the camera is on the body of "
            "the poses; give a camchain of Kalibr's camera-IMU calibration"
        ) from None
    renamed = {KEYS[key]: value for key, value in entry.items() if key in KEYS}
    return renamed | {"T_BS": {"data": T_body_camera_44.ravel().tolist()}}

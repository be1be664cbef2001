"""A sensor's depth beside that from motion: how well they agree, and holes filled."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from transposenet_core.errors import UserError
from transposenet_core.geometry.intrinsics import Intrinsics
from transposenet_core.geometry.pose import Pose
from transposenet_core.mapping.dense.result import FrameDepth
from transposenet_core.scene import DepthCamera
from transposenet_core.training.data.depth import NEAREST, measured_depth

MOST_DIFFERENCE = 0.2  # relative: motion's depth of a frame is not brought to the sensor's level from farther away
SAME_SURFACE = 1.05  # times the nearest point of a pixel: what is farther lies behind it


def read_sensor(path: Path | None, depth_camera: DepthCamera) -> tuple[np.ndarray, Intrinsics]:
    """A sensor's depth (H, W) float32 in the units of the map, without its lens's distortion, and its pinhole; 0 is
    none. UserError as `measured_depth`."""
    assert path is not None
    depth_HW, pinhole = measured_depth(path, depth_camera)
    return depth_HW.astype(np.float32), pinhole


def registered(depth_HW: np.ndarray, sensor: Intrinsics, T_camera_depth: Pose, pinhole: Intrinsics) -> np.ndarray:
    """A sensor's rectified depth as `pinhole` sees it (H, W) float32: 0 is none.

    A pixel has the mean of the points on it that belong to the nearest surface.
    """
    rows_N, columns_N = np.nonzero(depth_HW)
    z_N = depth_HW[rows_N, columns_N].astype(np.float64)
    p_3N = np.stack(((columns_N - sensor.cx) / sensor.fx * z_N, (rows_N - sensor.cy) / sensor.fy * z_N, z_N))
    p_3N = T_camera_depth.rotation_33 @ p_3N + T_camera_depth.position[:, None]
    p_3N = p_3N[:, p_3N[2] > NEAREST]
    x_N = np.rint(pinhole.fx * p_3N[0] / p_3N[2] + pinhole.cx).astype(int)
    y_N = np.rint(pinhole.fy * p_3N[1] / p_3N[2] + pinhole.cy).astype(int)
    inside_N = (x_N >= 0) & (y_N >= 0) & (x_N < pinhole.width) & (y_N < pinhole.height)
    z_N, index_N = p_3N[2, inside_N], y_N[inside_N] * pinhole.width + x_N[inside_N]
    nearest_M = np.full(pinhole.height * pinhole.width, np.inf)
    np.minimum.at(nearest_M, index_N, z_N)
    # The nearest of many points on a slope would be that of the pixel's lower edge: half a pixel off.
    front_N = z_N <= nearest_M[index_N] * SAME_SURFACE
    count_M, sum_M = (np.bincount(index_N[front_N], w, len(nearest_M)) for w in (None, z_N[front_N]))
    mean_M = sum_M / np.maximum(count_M, 1)
    return mean_M.astype(np.float32).reshape(pinhole.height, pinhole.width)


def read_depth(frame: FrameDepth, camera: DepthCamera) -> np.ndarray:
    """Depth from motion of a frame (H, W) float32 in the units of the map, 0 for none."""
    units_HW = cv2.imread(str(frame.depth_path), cv2.IMREAD_UNCHANGED)
    if units_HW is None:
        raise UserError(f"{frame.depth_path}: the depth image cannot be read; run the mapping again")
    return (units_HW * camera.metres_per_unit).astype(np.float32)


def completed(sensor_HW: np.ndarray, motion_HW: np.ndarray) -> np.ndarray:
    """A registered sensor's depth (H, W) with its holes and what is beyond its range filled from motion.

    Around the sensor's own pixels motion's depth is brought to its level, by the median ratio of both where there are
    enough: the two differ by a percent or two, and a step between them would be learnt as an edge.
    """
    both_HW = (sensor_HW > 0) & (motion_HW > 0)
    ratio = float(np.median(sensor_HW[both_HW] / motion_HW[both_HW])) if np.count_nonzero(both_HW) >= 100 else 1.0
    ratio = ratio if abs(ratio - 1) < MOST_DIFFERENCE else 1.0
    return np.where(sensor_HW > 0, sensor_HW, motion_HW * ratio).astype(np.float32)

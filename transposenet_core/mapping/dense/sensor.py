"""A sensor's depth beside that from motion: how well they agree, where the depth camera sits, and holes filled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from transposenet_core.errors import UserError
from transposenet_core.geometry.intrinsics import Intrinsics
from transposenet_core.geometry.pose import Pose
from transposenet_core.mapping.dense.depth_errors import DepthErrorCounter, DepthErrors
from transposenet_core.mapping.dense.result import FrameDepth
from transposenet_core.scene import DepthCamera, PosedImage
from transposenet_core.training.data.depth import NEAREST, measured_depth

OFFSET_RANGE, OFFSET_STEP = 0.06, 0.005  # searched on either side, in metres
OFFSET_FRAMES = 24
MOST_DIFFERENCE = 0.2  # relative: what differs by more says no more about the offset
SAME_SURFACE = 1.05  # times the nearest point of a pixel: what is farther lies behind it
LEAST_OFFSET_GAIN = 0.03  # of the mean difference: below, the depth camera sits where it is stated to


@dataclass(frozen=True)
class SensorComparison:
    """``errors`` of depth from motion against the sensor; ``offset_xy``: by how many metres to the right and down the
    depth camera sits from where its description has it, None where the images do not tell; ``frames`` compared."""

    errors: DepthErrors
    offset_xy: tuple[float, float] | None
    frames: int

    def sentences(self) -> list[str]:
        found = [f"depth from motion {self.errors.to_text()} ({self.frames} frames)"]
        for value, (before, after) in zip(self.offset_xy or (), (("left", "right"), ("above", "below")), strict=False):
            if abs(value) >= OFFSET_STEP:
                side = after if value > 0 else before
                place = f"to the {side} of" if side in ("left", "right") else side
                found.append(f"the depth camera sits {1000 * abs(value):.0f} mm {place} where it is described")
        return found


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


def compare_with_sensor(
    frames: Sequence[FrameDepth],
    camera: DepthCamera,
    images: Sequence[PosedImage],
    sensor: DepthCamera,
    metric: bool = True,
) -> SensorComparison | None:
    """Depth from motion (`frames`, as `camera` sees it) against the depth images that `images`, the same frames, name.

    Where the depth camera sits is searched within centimetres, so only where the map is `metric`. None where no frame
    has both. UserError as `read_sensor`.
    """
    both = [
        (f, i) for f, i in zip(frames, images, strict=True) if f.depth_path is not None and i.depth_path is not None
    ]
    counter = DepthErrorCounter()
    for frame, image in both:
        depth_HW, pinhole = read_sensor(image.depth_path, sensor)
        reference_HW = registered(depth_HW, pinhole, sensor.T_camera_depth, camera.intrinsics)
        counter.add(read_depth(frame, camera), reference_HW)
    errors = counter.result()
    if errors is None:
        return None
    return SensorComparison(errors, _offset(both, camera, sensor) if metric else None, len(both))


def _offset(
    both: Sequence[tuple[FrameDepth, PosedImage]], camera: DepthCamera, sensor: DepthCamera
) -> tuple[float, float] | None:
    """The offset along the colour camera's x and y at which it agrees best with depth from motion."""
    chosen = [both[k] for k in np.unique(np.linspace(0, len(both) - 1, min(OFFSET_FRAMES, len(both))).astype(int))]
    pairs = [(read_depth(frame, camera), *read_sensor(image.depth_path, sensor)) for frame, image in chosen]

    def difference(offset_3: np.ndarray) -> float:
        T = Pose(sensor.T_camera_depth.position + offset_3, sensor.T_camera_depth.orientation)
        found = []
        for motion_HW, depth_HW, pinhole in pairs:
            reference_HW = registered(depth_HW, pinhole, T, camera.intrinsics)
            both_HW = (motion_HW > 0) & (reference_HW > 0)
            log_N = np.log(motion_HW[both_HW] / reference_HW[both_HW])
            # The scale of all depths is another matter than edges that do not meet.
            found.append(np.minimum(np.abs(log_N - np.median(log_N)), MOST_DIFFERENCE) if len(log_N) else np.zeros(0))
        difference_N = np.concatenate(found)
        return float(np.mean(difference_N)) if len(difference_N) else np.inf

    best_3 = np.zeros(3)
    before = after = difference(best_3)
    steps = np.arange(-OFFSET_RANGE, OFFSET_RANGE + OFFSET_STEP / 2, OFFSET_STEP)
    for axis in (0, 1):
        tried = [difference(best_3 + step * np.eye(3)[axis]) for step in steps]
        least = int(np.argmin(tried))
        if least in (0, len(steps) - 1):
            return None
        after, best_3[axis] = tried[least], steps[least]
    if before - after < LEAST_OFFSET_GAIN * before:
        return 0.0, 0.0
    return float(best_3[0]), float(best_3[1])


def completed(sensor_HW: np.ndarray, motion_HW: np.ndarray) -> np.ndarray:
    """A registered sensor's depth (H, W) with its holes and what is beyond its range filled from motion.

    Around the sensor's own pixels motion's depth is brought to its level, by the median ratio of both where there are
    enough: the two differ by a percent or two, and a step between them would be learnt as an edge.
    """
    both_HW = (sensor_HW > 0) & (motion_HW > 0)
    ratio = float(np.median(sensor_HW[both_HW] / motion_HW[both_HW])) if np.count_nonzero(both_HW) >= 100 else 1.0
    ratio = ratio if abs(ratio - 1) < MOST_DIFFERENCE else 1.0
    return np.where(sensor_HW > 0, sensor_HW, motion_HW * ratio).astype(np.float32)

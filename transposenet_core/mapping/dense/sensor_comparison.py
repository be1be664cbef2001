"""How well a sensor's depth agrees with that from motion, and where and when the depth camera took it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation

from transposenet_core.geometry.pose import Pose
from transposenet_core.mapping.dense.depth_errors import DepthErrorCounter, DepthErrors
from transposenet_core.mapping.dense.result import FrameDepth
from transposenet_core.mapping.dense.sensor import MOST_DIFFERENCE, read_depth, read_sensor, registered
from transposenet_core.scene import DepthCamera, PosedImage

OFFSET_RANGE, OFFSET_STEP = 0.06, 0.005  # searched on either side, in metres
DELAY_RANGE, DELAY_STEP = 0.06, 0.004  # the same in seconds
LONGEST_GAP = 0.5  # seconds between frames, above which the camera's path between them is not known
FRAMES, EVERY = 24, 2  # frames compared, and every second pixel along both axes of the sensor's
LEAST_GAIN = 0.03  # of the mean difference: what gains less is none
LEAST_STEPS = 2  # a single one is within the rounding to pixels


@dataclass(frozen=True)
class SensorComparison:
    """``errors`` of depth from motion against the sensor, over ``frames``.

    ``offset_xy``: by how many metres to the right and down the depth camera sits from where its description has it;
    ``delay``: how many seconds after the colour image it was taken, by the scene's stamps. None where the images do
    not tell.
    """

    errors: DepthErrors
    offset_xy: tuple[float, float] | None
    delay: float | None
    frames: int

    def sentences(self) -> list[str]:
        found = [f"depth from motion {self.errors.to_text()} ({self.frames} frames)"]
        for value, (before, after) in zip(self.offset_xy or (), (("left", "right"), ("above", "below")), strict=False):
            if value != 0:
                side = after if value > 0 else before
                place = f"to the {side} of" if side in ("left", "right") else side
                found.append(f"the depth camera sits {1000 * abs(value):.0f} mm {place} where it is described")
        if self.delay:
            word = "after" if self.delay > 0 else "before"
            found.append(f"depth images are taken {1000 * abs(self.delay):.0f} ms {word} their colour images")
        return found


def compare_with_sensor(
    frames: Sequence[FrameDepth],
    camera: DepthCamera,
    images: Sequence[PosedImage],
    sensor: DepthCamera,
    *,
    metric: bool = True,
    timed: bool = True,
) -> SensorComparison | None:
    """Depth from motion (`frames`, as `camera` sees it) against the depth images that `images`, the same frames in the
    order in which they were taken and with their best poses, name.

    Where the depth camera sits is searched within centimetres, so only where the map is `metric`; when it took its
    images only where stamps are `timed`. None where no frame has both. UserError as `read_sensor`.
    """
    pairs = enumerate(zip(frames, images, strict=True))
    both = [k for k, (frame, image) in pairs if frame.depth_path is not None and image.depth_path is not None]
    counter = DepthErrorCounter()
    for k in both:
        depth_HW, pinhole = read_sensor(images[k].depth_path, sensor)
        reference_HW = registered(depth_HW, pinhole, sensor.T_camera_depth, camera.intrinsics)
        counter.add(read_depth(frames[k], camera), reference_HW)
    errors = counter.result()
    if errors is None:
        return None
    offset_xy = delay = None
    if metric:
        search = _Search([(frames[k], images[k], _motion(images, k)) for k in _spread(both)], camera, sensor)
        offset_xy, delay = search.found(timed)
    return SensorComparison(errors, offset_xy, delay, len(both))


def _spread(numbers: list[int]) -> list[int]:
    """At most `FRAMES` of them, evenly spaced."""
    return [numbers[k] for k in np.unique(np.linspace(0, len(numbers) - 1, min(FRAMES, len(numbers))).astype(int))]


class _Motion:
    """The camera's motion at a frame, in its own axes: ``linear_3`` per second and ``angular_3`` in rad/s; 0 where its
    neighbours are too far apart to tell."""

    def __init__(self, here: PosedImage, before: PosedImage, after: PosedImage) -> None:
        self.linear_3, self.angular_3 = np.zeros(3), np.zeros(3)
        if (seconds := after.stamp - before.stamp) > 0:
            R_camera_map_33 = here.pose.rotation_33.T
            self.linear_3 = R_camera_map_33 @ (after.pose.position - before.pose.position) / seconds
            rotation_33 = after.pose.rotation_33 @ before.pose.rotation_33.T  # along the axes of the map
            self.angular_3 = R_camera_map_33 @ Rotation.from_matrix(rotation_33).as_rotvec() / seconds

    def after(self, seconds: float) -> Pose:
        """``T_camera_later``."""
        rotation = Rotation.from_rotvec(self.angular_3 * seconds)
        return Pose(self.linear_3 * seconds, rotation.as_quat(scalar_first=True))


def _motion(images: Sequence[PosedImage], k: int) -> _Motion:
    """Of frame `k`, from the frames around it."""
    near = [
        image
        for image in images[max(k - 1, 0) : k + 2]
        if image.sequence == images[k].sequence and abs(image.stamp - images[k].stamp) <= LONGEST_GAP
    ]
    return _Motion(images[k], near[0], near[-1])


class _Search:
    """The offset along the colour camera's x and y, and the delay, at which the sensor agrees best with motion."""

    def __init__(
        self, chosen: list[tuple[FrameDepth, PosedImage, _Motion]], camera: DepthCamera, sensor: DepthCamera
    ) -> None:
        self.camera, self.sensor = camera, sensor
        self.chosen = []
        for frame, image, motion in chosen:
            depth_HW, pinhole = read_sensor(image.depth_path, sensor)
            thinned_HW = np.zeros_like(depth_HW)
            thinned_HW[::EVERY, ::EVERY] = depth_HW[::EVERY, ::EVERY]
            self.chosen.append((read_depth(frame, camera), thinned_HW, pinhole, motion))

    def difference(self, *place: float) -> float:
        """Mean difference of the logarithms of the depths, bounded, with x, y and seconds."""
        (x, y, seconds), found = place, []
        mount = self.sensor.T_camera_depth
        for motion_HW, depth_HW, pinhole, motion in self.chosen:
            T = motion.after(seconds) @ Pose(mount.position + [x, y, 0], mount.orientation)
            reference_HW = registered(depth_HW, pinhole, T, self.camera.intrinsics)
            both_HW = (motion_HW > 0) & (reference_HW > 0)
            log_N = np.log(motion_HW[both_HW] / reference_HW[both_HW])
            # The scale of all depths is another matter than edges that do not meet.
            found.append(np.minimum(np.abs(log_N - np.median(log_N)), MOST_DIFFERENCE) if len(log_N) else np.zeros(0))
        difference_N = np.concatenate(found)
        return float(np.mean(difference_N)) if len(difference_N) else np.inf

    def found(self, timed: bool) -> tuple[tuple[float, float] | None, float | None]:
        """Offset and delay; 0 where they gain too little, None where the best lies at the border of the search."""
        timed = timed and any(np.any(motion.linear_3) for *_, motion in self.chosen)
        best, before = [0.0, 0.0, 0.0], self.difference(0, 0, 0)
        decided = [True, True, timed]
        # One camera on a moving robot: a delay looks like an offset in the direction of travel, until all are known.
        for axis in (0, 1, 2, 0, 1, 2) if timed else (0, 1):
            reach, step = (DELAY_RANGE, DELAY_STEP) if axis == 2 else (OFFSET_RANGE, OFFSET_STEP)
            values = np.arange(-reach, reach + step / 2, step)
            tried = [self.difference(*(value if a == axis else b for a, b in enumerate(best))) for value in values]
            least = int(np.argmin(tried))
            decided[axis] = 0 < least < len(values) - 1
            far = abs(least - len(values) // 2) >= LEAST_STEPS
            best[axis] = float(values[least]) if decided[axis] and far else 0.0
        after, (x, y, seconds) = self.difference(*best), best
        without = (self.difference(0, y, seconds), self.difference(x, 0, seconds), self.difference(x, y, 0))
        best = [b if w - after >= LEAST_GAIN * before else 0.0 for b, w in zip(best, without, strict=True)]
        offset_xy = (best[0], best[1]) if decided[0] and decided[1] else None
        return offset_xy, best[2] if decided[2] else None

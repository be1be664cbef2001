"""Scene -> rosbag2: a camera drive out of posed images, with CameraInfo and ground truth."""

from __future__ import annotations

import math
from pathlib import Path

from transposenet_core.errors import UserError
from transposenet_core.geometry.intrinsics import Intrinsics
from transposenet_core.progress import ProgressBar
from transposenet_core.scene import PosedImage
from transposenet_ros.bags.topics import DEFAULT_START_S
from transposenet_ros.bags.writing import SceneBagWriter, open_bag_writer, write_image_names

LATEST_START_S = 2**31 - 1


def frame_times_ns(images: list[PosedImage], rate_hz: float, start_s: float, keep_gaps: bool = False) -> list[int]:
    """Stamps in ns: one frame after the other at `rate_hz`, or with `keep_gaps` as far apart as they were recorded.

    With `keep_gaps` each further sequence begins one period after the last one's end. UserError where the rate or the
    start is out of range or a recorded time does not grow.
    """
    if not (math.isfinite(rate_hz) and 0 < rate_hz <= 1000):
        raise UserError(f"--rate {rate_hz:g}: frames per second must be above 0 and at most 1000")
    if not 0 < start_s < LATEST_START_S:
        raise UserError(f"--start-time {start_s:g}: seconds since 1970 must be above 0 and below {LATEST_START_S}")
    start_ns = round(start_s * 1e9)
    if not keep_gaps:
        return [start_ns + round(index * 1e9 / rate_hz) for index in range(len(images))]
    times, offset_s = [], -images[0].stamp
    for before, image in zip([None, *images], images, strict=False):
        if before is not None and image.sequence != before.sequence:
            offset_s += before.stamp + 1 / rate_hz - image.stamp
        elif before is not None and image.stamp <= before.stamp:
            raise UserError(
                f"{image.path}: recorded at {image.stamp:g} s, not after {before.name} at {before.stamp:g} s; "
                "omit --keep-gaps to space the frames evenly"
            )
        times.append(start_ns + round((image.stamp + offset_s) * 1e9))
    return times


def make_bag(
    images: list[PosedImage],
    out: str | Path,
    *,
    intrinsics: Intrinsics | None = None,
    rate_hz: float = 30.0,
    start_s: float = DEFAULT_START_S,
    keep_gaps: bool = False,
    map_frame: str = "map",
    camera_frame: str = "camera_optical",
    storage: str = "mcap",
    compressed: bool = False,
    overwrite: bool = False,
    progress: bool = False,
) -> Path:
    """Write `images` as a rosbag2 recording to the folder `out`; images are read one at a time.

    Poses are ``T_map_camera``, on /ground_truth/pose and as TF `map_frame` -> camera_ground_truth. Without `intrinsics`
    no CameraInfo is written. Raises UserError for unreadable images, wrong times and an `out` that exists.
    """
    out = Path(out).expanduser()
    times_ns = frame_times_ns(images, rate_hz, start_s, keep_gaps)
    for option, frame in (("--map-frame", map_frame), ("--camera-frame", camera_frame)):
        if not frame or frame.startswith("/"):
            raise UserError(f"{option} '{frame}': a TF frame needs a name that does not begin with a slash")
    with open_bag_writer(out, storage, overwrite) as writer:
        bag = SceneBagWriter(writer, map_frame, camera_frame, compressed, intrinsics)
        rows = zip(images, times_ns, strict=True)
        for image, stamp_ns in ProgressBar(rows, total=len(images), unit="frame", desc=out.name, disable=not progress):
            bag.write(image, stamp_ns)
        write_image_names(writer.path, {t: image.name for t, image in zip(times_ns, images, strict=True)})
    return out

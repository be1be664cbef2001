"""A depth camera's images, completed with depth from motion: holes, and what is beyond its range."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from transposenet_core.atomic_files import write_atomically
from transposenet_core.formats.folder_writing import encode
from transposenet_core.image_files import image_stem
from transposenet_core.mapping.dense.result import DenseResult
from transposenet_core.mapping.dense.sensor import completed, read_depth, read_sensor, registered
from transposenet_core.progress import ProgressBar
from transposenet_core.scene import DepthCamera, PosedImage

MOST = 65535


def complete(
    dense: DenseResult, images: Sequence[PosedImage], sensor: DepthCamera, folder: Path, progress: bool = True
) -> dict[str, Path]:
    """Write the depth of each frame that has any, from its sensor where that measured, else from motion, as
    ``dense.depth_camera`` sees it; the files by the names of the frames.

    `images` are the frames of `dense`, in its order. UserError where a depth image cannot be read.
    """
    camera = dense.depth_camera
    assert camera is not None  # without depth from motion there is nothing to complete with
    files = {}
    both = zip(dense.frames, images, strict=True)
    for frame, image in ProgressBar(both, total=len(images), desc="completing", unit="frame", disable=not progress):
        depth_HW = np.zeros((camera.intrinsics.height, camera.intrinsics.width), np.float32)
        if frame.depth_path is not None:
            depth_HW = read_depth(frame, camera)
        if image.depth_path is not None:
            measured_HW, pinhole = read_sensor(image.depth_path, sensor)
            depth_HW = completed(registered(measured_HW, pinhole, sensor.T_camera_depth, camera.intrinsics), depth_HW)
        units_HW = np.rint(depth_HW / camera.metres_per_unit)
        if not (units_HW > 0).any():
            continue
        files[image.name] = folder / f"{image_stem(image.name)}.depth.png"
        files[image.name].parent.mkdir(parents=True, exist_ok=True)
        with write_atomically(files[image.name], sync=False) as path:
            path.write_bytes(encode(np.where(units_HW <= MOST, units_HW, 0).astype(np.uint16), ".png"))
    return files

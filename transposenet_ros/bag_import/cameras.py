"""The camera that a CameraInfo describes, as a scene keeps it."""

from __future__ import annotations

from typing import Any

from transposenet_core.errors import UserError
from transposenet_core.geometry.intrinsics import Intrinsics
from transposenet_ros.bag_import.names import shown, shown_sentence
from transposenet_ros.bag_import.options import ImportOptions
from transposenet_ros.bags.camera_info import raw_topic
from transposenet_ros.camera.live_camera import live_camera


def is_rectified_topic(topic: str) -> bool:
    """image_proc calls its images image_rect and image_rect_color."""
    return "rect" in raw_topic(topic).rpartition("/")[2]


def intrinsics_of(info: Any, topic: str, rectified: bool) -> Intrinsics:
    """Pinhole and distortion of a CameraInfo, binning and region of interest included; `rectified` images follow P.

    Raises UserError where it describes no calibrated camera.
    """
    try:
        camera = live_camera(info, rectified)
    except ValueError as error:
        raise UserError(
            f"the CameraInfo on {shown(topic)} cannot be used: {shown_sentence(str(error))}; name another with "
            "--camera-info, or set --camera-info none to keep the lens distortion"
        ) from None
    distorted = len(camera.distortion) > 0
    return Intrinsics(
        width=camera.width,
        height=camera.height,
        fx=float(camera.K_33[0, 0]),
        fy=float(camera.K_33[1, 1]),
        cx=float(camera.K_33[0, 2]),
        cy=float(camera.K_33[1, 2]),
        source=f"CameraInfo on {shown(topic)}",
        rectified=not distorted,
        distortion_model=camera.lens if distorted else "none",
        distortion=tuple(camera.distortion.tolist()) if distorted else (),
    )


def camera_of(infos: list[Any], topic: str, options: ImportOptions) -> tuple[Intrinsics | None, list[str]]:
    """The camera of a recording whose different CameraInfo messages are `infos`, and sentences on it; None without.

    UserError where a CameraInfo that was asked for describes no calibrated camera.
    """
    if not infos:
        found = f"none on {shown(topic)}" if topic else "none beside the images"
        return None, [f"camera: no CameraInfo ({found}); the images are kept as they are, name one with --camera-info"]
    rectified = is_rectified_topic(options.image) if options.rectified is None else options.rectified
    try:
        intrinsics = intrinsics_of(infos[0], topic, rectified)
    except UserError as error:
        if options.camera_info is not None:
            raise
        return None, [f"warning: {error}"]
    i = intrinsics
    pinhole = f"fx {i.fx:.6g} fy {i.fy:.6g} cx {i.cx:.6g} cy {i.cy:.6g}"
    notes = [f"camera: {i.width}x{i.height}, {pinhole} by the {i.source}"]
    if rectified:
        notes.append("camera: the images are assumed to be rectified, so P is used (--no-rectified: they are not)")
    elif not intrinsics.rectified:
        notes.append(f"camera: {intrinsics.distortion_model} distortion, which is removed from every image")
    if len(infos) > 1:
        notes.append(f"warning: {len(infos)} or more different CameraInfo on {shown(topic)}; the first is used")
    return intrinsics, notes


def of_images(intrinsics: Intrinsics, width: int, height: int) -> Intrinsics:
    """The intrinsics of images of `width` x `height`, which may be resized ones. UserError for another aspect ratio."""
    try:
        return intrinsics.for_images(width, height)
    except UserError as error:
        raise UserError(f"{error}: with --camera-info, or --camera-info none leaves the lens as it is") from None

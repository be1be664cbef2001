"""Images of several cameras in one scene, which has one: cameras that hardly differ count as one, others are refused.

COLMAP estimates a camera for each image unless an option makes it estimate one for all; an autofocus moves the focal
length: the same camera then has many slightly different intrinsics.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import numpy as np

from transposenet_core.errors import UserError
from transposenet_core.formats.faults import Faults
from transposenet_core.geometry.intrinsics import Intrinsics
from transposenet_core.geometry.lens_models import bears_distortion

SAME_CAMERA = 0.02  # of the focal length: as far as a phone's autofocus changes it
CANDIDATES = 50  # cameras that are tried as the one to suggest: with an image each there may be thousands
Name = TypeVar("Name", int, str)


def alike(cameras_NK: np.ndarray, reference_K: np.ndarray) -> np.ndarray:
    """(N,) which cameras count as the reference: rows of width, height, fx, fy, cx, cy and distortion coefficients.

    Sizes are equal, pixels at most 2 % of the focal length apart, coefficients at most 0.02.
    """
    allowed_K = np.array([0.0, 0.0, *[SAME_CAMERA * reference_K[2]] * 4, *[SAME_CAMERA] * (len(reference_K) - 6)])
    return (np.abs(cameras_NK - reference_K) <= allowed_K).all(axis=1)


def cameras_like(cameras: Mapping[Name, Intrinsics], reference: Intrinsics) -> set[Name]:
    """The names of the cameras that count as the reference, with its lens model."""
    same_lens = {name: _row(camera) for name, camera in cameras.items() if _lens(camera) == _lens(reference)}
    if not same_lens:
        return set()
    found_N = alike(np.array(list(same_lens.values())), np.array(_row(reference)))
    return {name for name, found in zip(same_lens, found_N, strict=True) if found}


def first_camera(cameras: Mapping[Path, Intrinsics | None], faults: Faults) -> Intrinsics | None:
    """The camera of the first folder, for sequences that were calibrated one by one; a remark on each that differs.

    UserError where another one does not count as the same.
    """
    (first, camera), *others = cameras.items()
    for folder, other in others:
        if other == camera:
            continue
        if camera is None or other is None or not cameras_like({0: other}, camera):
            raise UserError(f"{folder}: another camera than in {first}; a scene has one: load the folders one by one")
        faults.remark(
            folder, f"its intrinsics differ from those in {first} by less than {SAME_CAMERA:.0%}, which are used"
        )
    return camera


def common_camera(cameras: Mapping[Name, Intrinsics], counts: Mapping[Name, int]) -> tuple[Intrinsics, float] | None:
    """The median of the cameras, each weighed by its images, and how far they are from it in pixels.

    None where one of them does not count as that median.
    """
    first = next(iter(cameras.values()))
    if any(_lens(camera) != _lens(first) for camera in cameras.values()):
        return None
    rows_NK = np.array([_row(camera) for camera in cameras.values()])
    weighed_MK = np.repeat(rows_NK, [counts[name] for name in cameras], axis=0)
    median_K = np.sort(weighed_MK, axis=0)[len(weighed_MK) // 2]  # a value that a camera has, not a mean of two
    if not alike(rows_NK, median_K).all():
        return None
    width, height, fx, fy, cx, cy, *distortion = median_K.tolist()
    pinhole = {"width": int(width), "height": int(height), "fx": fx, "fy": fy, "cx": cx, "cy": cy}
    median = replace(first, **pinhole, distortion=tuple(distortion))
    median = replace(median, rectified=not bears_distortion(median))
    if len(cameras) > 1 and median != first:
        median = replace(median, source=f"{first.source} and {len(cameras) - 1} more, the median")
    return median, float(np.abs(rows_NK - median_K)[:, 2:6].max())


def best_camera(cameras: Mapping[Name, Intrinsics], counts: Mapping[Name, int]) -> tuple[Name, int]:
    """The camera to choose where they differ: with those like it, it has the most images; and how many these are."""
    frequent = sorted(cameras, key=lambda name: -counts[name])[:CANDIDATES]
    images = {name: sum(counts[other] for other in cameras_like(cameras, cameras[name])) for name in frequent}
    best = max(images, key=lambda name: images[name])
    return best, images[best]


def _lens(camera: Intrinsics) -> tuple[str, int]:
    return camera.distortion_model, len(camera.distortion)


def _row(camera: Intrinsics) -> list[float]:
    pinhole = camera.width, camera.height, camera.fx, camera.fy, camera.cx, camera.cy
    return [*map(float, pinhole), *camera.distortion]

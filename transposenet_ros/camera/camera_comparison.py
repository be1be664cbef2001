"""Compares a live camera with the one a scene model was trained with, and finds how to correct its images."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from diagnostic_msgs.msg import DiagnosticStatus

from transposenet_core.geometry.intrinsics import Intrinsics, aspect_difference
from transposenet_ros import reasons
from transposenet_ros.camera.live_camera import LiveCamera, scaled_matrix

POLICIES = ("warn", "refuse", "warp")
# Focal lengths by their ratio, principal points by their distance in shares of the image's sides.
TOLERANCE = 0.05
# Of the training camera's view, the share that a warped image shows at least, or it is a WARN.
ENOUGH_VIEW = 0.8
COARSE = 64  # samples along the longer side to measure that share


@dataclass(frozen=True)
class Verdict:
    """What diagnostics show about the camera; where it is `refused`, images must be dropped as ``reason``."""

    level: bytes
    reason: str
    text: str

    @property
    def refused(self) -> bool:
        return self.level == DiagnosticStatus.ERROR


@dataclass(frozen=True, eq=False)
class Target:
    """The view that an image of `camera` is warped to before it is localized: a pinhole, its size (width, height)."""

    camera: LiveCamera
    matrix_33: np.ndarray
    size: tuple[int, int]
    undistort: bool

    def maps(self) -> tuple[np.ndarray, np.ndarray]:
        """Where each pixel of the view lies in the camera's image: x and y, float32 (height, width)."""
        return self.camera.maps(self.matrix_33, self.size, self.undistort)


def compare(training: Intrinsics, camera: LiveCamera, policy: str) -> tuple[Verdict, Target | None]:
    """The verdict on `camera`, which has its images' size, and the camera to warp them to; None changes nothing."""
    undistort = training.rectified is True and len(camera.distortion) > 0
    difference = _difference(training, camera, undistort)
    if undistort and difference and not _difference(training, by_its_own_matrix := camera.kept_matrix(), True):
        camera, difference = by_its_own_matrix, ""
    if difference and policy == "warp":
        return _warp(training, camera, undistort, difference)
    target = Target(camera, camera.rectified_33, (camera.width, camera.height), True) if undistort else None
    if difference:
        return mismatch(f"{difference}; trained with {describe(training)}", policy), target
    size = f"{camera.width}x{camera.height}"
    rescaled = f", at {size}" if size != f"{training.width}x{training.height}" else ""
    rectified = f", rectified ({camera.lens})" if undistort else ""
    return _ok(f"it is {describe(training)}{rescaled}{rectified}"), target


def unknown(training: Intrinsics | None, reason: str) -> Verdict:
    """The verdict where there is nothing to compare."""
    if training is None:
        return _ok("the scene model has no intrinsics of its training camera")
    return Verdict(DiagnosticStatus.WARN, "camera_unknown", f"{reason}: not compared with {describe(training)}")


def unknown_of_size(training: Intrinsics, fault: str, size: tuple[int, int], policy: str) -> Verdict:
    """The same for images of `size` (width, height), which alone shows some other cameras."""
    if difference := aspect_difference(size, (training.width, training.height)):
        width, height = size
        text = f"{fault}, and images of {width}x{height} are not those of {describe(training)}: {difference}"
        return mismatch(text, policy)
    return unknown(training, fault)


def mismatch(text: str, policy: str) -> Verdict:
    return refused(text) if policy == "refuse" else Verdict(DiagnosticStatus.WARN, reasons.CAMERA_MISMATCH, text)


def refused(text: str) -> Verdict:
    return Verdict(DiagnosticStatus.ERROR, reasons.CAMERA_MISMATCH, text)


def describe(training: Intrinsics) -> str:
    return f"the training camera ({training.source}, {training.width}x{training.height})"


def _difference(training: Intrinsics, camera: LiveCamera, undistort: bool) -> str:
    """How the live camera differs from the training camera, resolution aside; '' where it does not."""
    if aspect_difference((camera.width, camera.height), (training.width, training.height)):
        return f"the sides are {camera.width}:{camera.height} instead of {training.width}:{training.height}"
    scaled = camera.scaled(training.width, training.height)
    found_33 = scaled.rectified_33 if undistort else scaled.K_33
    focal = TOLERANCE * training.fx, TOLERANCE * training.fy
    centre = TOLERANCE * training.width, TOLERANCE * training.height
    found = found_33[[0, 1, 0, 1], [0, 1, 2, 2]]
    trained = training.fx, training.fy, training.cx, training.cy
    faults = [
        f"{name} is {a:.1f} instead of {b:.1f} px"
        for name, a, b, allowed in zip(("fx", "fy", "cx", "cy"), found, trained, focal + centre, strict=True)
        if abs(a - b) > allowed
    ]
    return f"{', '.join(faults)} (at {training.width}x{training.height})" if faults else ""


def _warp(training: Intrinsics, camera: LiveCamera, undistort: bool, difference: str) -> tuple[Verdict, Target]:
    """Warp to the training camera, with the pixels of the live one, or of the training one where that has more."""
    factor = max(1.0, camera.width * camera.height / training.width / training.height) ** 0.5
    size = round(training.width * factor), round(training.height * factor)
    K_33 = np.array([[training.fx, 0, training.cx], [0, training.fy, training.cy], [0, 0, 1]])
    matrix_33 = scaled_matrix(K_33, size[0] / training.width, size[1] / training.height)
    target = Target(camera, matrix_33, size, undistort)
    share = _share_seen(target)
    text = f"{difference}; warped to {describe(training)}, of whose view it shows {share:.0%}"
    enough = share >= ENOUGH_VIEW
    return _ok(text) if enough else Verdict(DiagnosticStatus.WARN, reasons.CAMERA_MISMATCH, text), target


def _share_seen(target: Target) -> float:
    """Of the target's view, the share that the live image has."""
    scale = COARSE / max(target.size)
    size = max(1, round(target.size[0] * scale)), max(1, round(target.size[1] * scale))
    coarse_33 = scaled_matrix(target.matrix_33, size[0] / target.size[0], size[1] / target.size[1])
    camera = target.camera
    x, y = replace(target, matrix_33=coarse_33, size=size).maps()
    inside = (x >= -0.5) & (x <= camera.width - 0.5) & (y >= -0.5) & (y <= camera.height - 0.5)
    return float(inside.mean())


def _ok(text: str) -> Verdict:
    return Verdict(DiagnosticStatus.OK, "", text)

"""The errors of a robot's own localization, added to a scene whose poses are exact: what a recording would state.

All of it is drawn from one seed. The errors are those of AMCL on wheel odometry: in the plane, correlated over seconds,
with a drift that grows along the way, a clock that is off, and a lens that was taken from a data sheet.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.spatial.transform import Rotation, Slerp

from transposenet_core.formats.runs import find_runs
from transposenet_core.geometry.pose import Pose, stack
from transposenet_core.scene import PosedImage, Scene


@dataclass(frozen=True)
class RecordingErrors:
    """``position_m`` (standard deviation along map x and y) and ``rotation_deg`` (about map z) change within
    ``correlation_s``; ``independent`` draws them anew for each frame and along all three axes. ``drift`` is a share of
    the way travelled; ``time_offset_s`` what the poses are late by; ``focal_length`` a factor of the true one."""

    position_m: float = 0.05
    rotation_deg: float = 1.0
    correlation_s: float = 3.0
    independent: bool = False
    drift: float = 0.01
    time_offset_s: float = 0.03
    focal_length: float = 1.03
    seed: int = 1


def as_recorded(scene: Scene, errors: RecordingErrors) -> Scene:
    """The scene with these errors on every pose and on its lens; images, stamps and splits stay."""
    generator = np.random.default_rng(errors.seed)
    images = list(scene.images)
    for run in find_runs(images):
        for index, pose in zip(run, _poses([images[k] for k in run], errors, generator), strict=True):
            images[index] = replace(images[index], pose=pose)
    camera = scene.intrinsics
    if camera is not None:
        fx, fy = camera.fx * errors.focal_length, camera.fy * errors.focal_length
        camera = replace(camera, fx=fx, fy=fy, source="a data sheet")
    return replace(scene, images=images, intrinsics=camera)


def _poses(images: list[PosedImage], errors: RecordingErrors, generator: np.random.Generator) -> list[Pose]:
    """What was recorded for the frames of a run, in order of time."""
    stamps_N = np.array([image.stamp for image in images])
    positions_N3, rotations = _at(images, stamps_N + errors.time_offset_s)
    count = len(images)
    if errors.independent:
        moved_N3 = generator.normal(0, errors.position_m, (count, 3))
        rotated_N3 = generator.normal(0, errors.rotation_deg, (count, 3))
    else:
        planar_N3 = _correlated(stamps_N, errors.correlation_s, generator)
        moved_N3 = errors.position_m * planar_N3 * [1, 1, 0]
        rotated_N3 = errors.rotation_deg * planar_N3 * [0, 0, 1]
    way_N = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(positions_N3, axis=0), axis=1))])
    heading = generator.uniform(0, 2 * np.pi)
    drift_N3 = errors.drift * way_N[:, None] * [np.cos(heading), np.sin(heading), 0]
    rotated = Rotation.from_rotvec(np.radians(rotated_N3)) * rotations
    orientations_N4 = rotated.as_quat(scalar_first=True)
    return [Pose(p, q) for p, q in zip(positions_N3 + moved_N3 + drift_N3, orientations_N4, strict=True)]


def _at(images: list[PosedImage], stamps_N: np.ndarray) -> tuple[np.ndarray, Rotation]:
    """Positions (N, 3) and rotations of the run at other times; beyond its ends it stands still."""
    own_N = np.array([image.stamp for image in images])
    positions_N3, orientations_N4 = stack([image.pose for image in images])
    at_N = np.clip(stamps_N, own_N[0], own_N[-1])
    moved_N3 = np.stack([np.interp(at_N, own_N, positions_N3[:, k]) for k in range(3)], axis=1)
    rotations = Rotation.from_quat(orientations_N4, scalar_first=True)
    return moved_N3, Slerp(own_N, rotations)(at_N) if len(images) > 1 else rotations


def _correlated(stamps_N: np.ndarray, seconds: float, generator: np.random.Generator) -> np.ndarray:
    """Three independent Ornstein-Uhlenbeck processes (N, 3) of standard deviation 1."""
    keep_N = np.exp(-np.diff(stamps_N, prepend=stamps_N[0]) / seconds)
    drawn_N3 = generator.normal(size=(len(stamps_N), 3))
    values_N3 = np.empty_like(drawn_N3)
    values_N3[0] = drawn_N3[0]
    for k in range(1, len(stamps_N)):
        values_N3[k] = keep_N[k] * values_N3[k - 1] + np.sqrt(1 - keep_N[k] ** 2) * drawn_N3[k]
    return values_N3

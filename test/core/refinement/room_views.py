"""Keyframes of the demo's room and queries between them, all rendered from exact poses; and how far a pose is off."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from made_views import moved
from rendered_room import CAMERA, one_camera, posed, render_room

from demo.drives import test_drive as drive_of_queries
from transposenet_core.geometry.pose import Pose, rotation_angle_deg
from transposenet_core.refinement import Refinement
from transposenet_core.scene import PosedImage, Scene
from transposenet_core.scene_model.keyframes import ARRAYS, Keyframes
from transposenet_core.training.keyframes import make_keyframes

# Of one drive, 13 cm and 1 to 13 deg apart; the queries lie in the middle between two of them.
KEYFRAMES, QUERIES = (60, 72, 84, 96, 108, 120, 132), (66, 78, 90, 102, 114, 126)


@dataclass(frozen=True, eq=False)
class Query:
    image_HW3: np.ndarray
    pose: Pose


@dataclass(frozen=True, eq=False)
class RoomViews:
    keyframes: Keyframes
    queries: list[Query]


def rendered_views(folder: Path) -> RoomViews:
    drive = drive_of_queries().poses
    poses = [drive[frame] for frame in (*KEYFRAMES, *QUERIES)]
    render_room(folder, [pose.matrix_44 for pose in poses])
    files = [posed(folder, number) for number in range(len(poses))]
    images = [
        PosedImage(f"{n}.png", file.path, pose, "train", "a", n / 10, file.depth_path)
        for n, (file, pose) in enumerate(zip(files, poses, strict=True))
    ]
    scene = Scene("room", images[: len(KEYFRAMES)], intrinsics=CAMERA, depth_camera=one_camera())
    made = make_keyframes(scene, 100, threads=1, progress=False)
    assert made is not None and len(made.keyframes) == len(KEYFRAMES)
    queries = [
        Query(np.ascontiguousarray(cv2.imread(str(image.path))[..., ::-1]), image.pose)
        for image in images[len(KEYFRAMES) :]
    ]
    return RoomViews(made.keyframes, queries)


def off(pose: Pose, rng: np.random.Generator, metres: float, degrees: float) -> Pose:
    """The pose this far away, in drawn directions."""
    step_3, axis_3 = rng.normal(size=(2, 3))
    return moved(pose, metres * step_3 / np.linalg.norm(step_3), np.radians(degrees) * axis_3 / np.linalg.norm(axis_3))


def error_of(pose: Pose, ground_truth: Pose) -> tuple[float, float]:
    """Metres and degrees."""
    rotation = rotation_angle_deg(pose.orientation, ground_truth.orientation)
    return float(np.linalg.norm(pose.position - ground_truth.position)), float(rotation)


def wrong(found: Refinement, ground_truth: Pose) -> bool:
    """Whether it is accepted and more than 0.25 m or 5 deg off, the limits of the fault matrix."""
    if not found.accepted or found.pose is None:
        return False
    metres, degrees = error_of(found.pose, ground_truth)
    return metres > 0.25 or degrees > 5


def joined(several: Sequence[Keyframes]) -> Keyframes:
    """All keyframes of several sets of one camera."""
    arrays = {name: np.concatenate([getattr(each, name) for each in several]) for name in ARRAYS}
    return Keyframes(**arrays, camera=several[0].camera)

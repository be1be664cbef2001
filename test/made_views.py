"""A recording of made-up points with exact ground truth: what its frames see, and which key points belong together."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from transposenet_core.geometry.intrinsics import Intrinsics
from transposenet_core.geometry.pose import Pose
from transposenet_core.mapping.adjust.correspondences import Correspondences
from transposenet_core.mapping.adjust.lens import Lens
from transposenet_core.mapping.adjust.matching import Match
from transposenet_core.scene import PosedImage

CAMERA = Intrinsics(640, 480, 520.0, 520.0, 319.5, 239.5, "made", None, "plumb_bob", (-0.1, 0.03, 0.0, 0.0, 0.0))
LEVEL_33 = np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])
PERIOD = 0.1


@dataclass(frozen=True, eq=False)
class Views:
    """True poses of the frames, and what their images show in common."""

    poses: list[Pose]
    found: Correspondences

    def images(self, recorded: list[Pose]) -> list[PosedImage]:
        """The frames as a recording with these poses has them."""
        return [
            PosedImage(f"frame-{n:04d}.png", Path(f"frame-{n:04d}.png"), pose, "train", "a", n * PERIOD)
            for n, pose in enumerate(recorded)
        ]


def walk(frames: int = 48) -> list[Pose]:
    """Two rounds through the middle of a room 6 m wide, the camera swinging to both sides."""
    t = np.linspace(0, 4 * np.pi, frames)
    position_N3 = np.column_stack([1.2 * np.cos(t), 0.9 * np.sin(t), 0.15 * np.sin(3 * t)])
    angles_N3 = np.column_stack([45 * np.sin(1.5 * t), 10 * np.cos(t), 8 * np.sin(2.3 * t)])
    rotation = Rotation.from_euler("ZYX", angles_N3, degrees=True) * Rotation.from_matrix(LEVEL_33)
    return [Pose(p, q) for p, q in zip(position_N3, rotation.as_quat(scalar_first=True), strict=True)]


def views(poses: list[Pose], noise_px: float = 0.4, wrong: float = 0.0, seed: int = 0) -> Views:
    """What `poses` see of points at the walls; a share `wrong` of the matches joins unrelated key points."""
    rng = np.random.default_rng(seed)
    point_P3 = rng.uniform([2.5, -4, -1.5], [4.5, 4, 1.5], (1400, 3))
    lens = Lens.of(CAMERA)
    pixels, ids = [], []
    for pose in poses:
        local_P3 = (point_P3 - pose.position) @ pose.rotation_33
        pixel_P2 = lens.project(local_P3)
        with np.errstate(invalid="ignore"):
            inside = (pixel_P2 > 0).all(axis=1) & (pixel_P2[:, 0] < 639) & (pixel_P2[:, 1] < 479)
            # A distorting lens folds what is far outside back into the image.
            inside &= (np.abs(local_P3[:, :2]) < 0.9 * local_P3[:, 2:]).all(axis=1)
        chosen = rng.permutation(np.flatnonzero(inside))[:180]
        ids.append(chosen)
        pixels.append(pixel_P2[chosen] + rng.normal(0, noise_px, (len(chosen), 2)))
    matches = []
    for i in range(len(poses)):
        for j in {*range(i + 1, min(i + 4, len(poses))), *range(i + 6, len(poses), 7)}:
            _, a, b = np.intersect1d(ids[i], ids[j], return_indices=True)
            bad = rng.random(len(b)) < wrong
            b[bad] = rng.permutation(b[bad])
            if len(a) >= 15:
                matches.append(Match(i, j, np.column_stack([a, b]).astype(np.int32)))
    return Views(poses, Correspondences(pixels, pixels, matches, len(matches)))


def noisy(poses: list[Pose], position: float, degrees: float, seed: int = 1) -> list[Pose]:
    """Independent errors of each frame, one sigma of an axis."""
    rng = np.random.default_rng(seed)
    return [moved(p, rng.normal(0, position, 3), rng.normal(0, np.radians(degrees), 3)) for p in poses]


def moved(pose: Pose, by_3: np.ndarray, rotvec_3: np.ndarray) -> Pose:
    rotated = Rotation.from_rotvec(rotvec_3) * Rotation.from_quat(pose.orientation, scalar_first=True)
    return replace(pose, position=pose.position + by_3, orientation=rotated.as_quat(scalar_first=True))

"""Whether the poses are of another body than the camera, which is fixed to it: hand-eye calibration from matches.

The relative rotations of a body and of a camera on it have equal angles and axes that differ by one constant rotation
(Tsai and Lenz 1989); their translations differ by what the lever arm sweeps. Start in closed form, then least squares
over the matches.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import least_squares
from scipy.spatial.transform import Rotation

from transposenet_core.dataset_check.agreement import ray_distances, relative_motion
from transposenet_core.dataset_check.matching import MatchedPair, Matches
from transposenet_core.formats.declared_convention import AXES, AXES_WORDS, ORDER_WORDS, PoseConvention

MATCHES_PER_PAIR = 25
ROUNDS = 6
TRANSLATION_WEIGHT = 0.2  # radians that a unit translation counts as: its direction is seen to some 10 degrees
# A second axis of rotation (or a direction of travel) that is this much weaker than the first does not count.
LEAST_SECOND_AXIS = 0.02
LEVER_PRIOR = 1e-3
NAMED_DEG = 5.0

Numbers = list[tuple[np.ndarray, np.ndarray]]  # for each pair its stored centres (2, 3) and quaternions (2, 4)


@dataclass(frozen=True, eq=False)
class Mounting:
    """``T_body_camera`` (optical axes) under which the poses of a body, read as `convention`, explain the matches.

    ``lever_3`` is the camera's position on the body in the poses' unit.
    """

    convention: PoseConvention
    R_body_camera_33: np.ndarray
    lever_3: np.ndarray

    def poses(self, centres_N3: np.ndarray, quaternions_N4: np.ndarray) -> tuple[np.ndarray, Rotation]:
        """Camera centres (N, 3) and the rotations ``R_map_camera`` of the numbers of N body poses."""
        p_N3, R_map_body = self.convention.poses(centres_N3, quaternions_N4)
        return p_N3 + R_map_body.apply(self.lever_3), R_map_body * Rotation.from_matrix(self.R_body_camera_33)

    @property
    def angle_deg(self) -> float:
        """The angle between the body's axes and the camera's optical axes."""
        return float(np.degrees(Rotation.from_matrix(self.R_body_camera_33).magnitude()))

    def __str__(self) -> str:
        roll, pitch, yaw = Rotation.from_matrix(self.R_body_camera_33).as_euler("xyz", degrees=True)
        x, y, z = self.lever_3
        return (
            f"{self.convention.direction}, {ORDER_WORDS[self.convention.order]}, with the camera's optical axes "
            f"rotated by about {self.angle_deg:.0f} degrees (roll {roll:.0f}, pitch {pitch:.0f}, yaw {yaw:.0f}) "
            f"against the body's, the camera near ({x:.2f}, {y:.2f}, {z:.2f}) on it{self._named()}"
        )

    def _named(self) -> str:
        """The name of the body's axes, where they are usual ones."""
        for name, R_axes_optical_33 in AXES.items():
            rotation = Rotation.from_matrix(R_axes_optical_33.T @ self.R_body_camera_33).magnitude()
            if np.degrees(rotation) < NAMED_DEG:
                return f": the body has {AXES_WORDS[name]}"
        return ""


def closed_form(convention: PoseConvention, matches: Matches, numbers: Numbers) -> Mounting | None:
    """The mounting, without its lever arm, that fits rotation axes and directions of travel best (Kabsch).

    `numbers` are the stored centres (2, 3) and quaternions (2, 4) of each pair. Outliers are weighted down round by
    round. None where all motion is about and along one axis, which does not determine the rotation.
    """
    convention = replace(convention, axes="optical")
    body, camera = [], []
    for pair, (p_23, q_24) in zip(matches.pairs, numbers, strict=True):
        R_33, t_3 = relative_motion(*convention.poses(p_23, q_24))
        body += [
            Rotation.from_matrix(R_33).as_rotvec(),
            TRANSLATION_WEIGHT * t_3 / max(float(np.linalg.norm(t_3)), 1e-12),
        ]
        camera += [Rotation.from_matrix(pair.R_second_first_33).as_rotvec(), TRANSLATION_WEIGHT * pair.t_second_first_3]
    body_M3, camera_M3 = np.array(body), np.array(camera)
    weights_M = np.ones(len(body_M3))
    R = Rotation.identity()
    for _ in range(ROUNDS):
        spread = np.linalg.svd((body_M3 * weights_M[:, None]).T @ camera_M3, compute_uv=False)
        if spread[1] < LEAST_SECOND_AXIS * spread[0] or spread[0] < 1e-9:
            return None
        R, _ = Rotation.align_vectors(body_M3, camera_M3, weights=weights_M)
        error_M = np.linalg.norm(body_M3 - R.apply(camera_M3), axis=1)
        weights_M = 1 / (1 + (error_M / 0.05) ** 2)
    return Mounting(convention, R.as_matrix(), np.zeros(3))


def refined(start: Mounting, matches: Matches, numbers: Numbers) -> Mounting:
    """Rotation and lever arm that bring a sample of the matches nearest to their half lines (soft L1, in pixels)."""
    assert matches.lens is not None
    focal = matches.lens.focal
    sample = [_thinned(pair) for pair in matches.pairs]

    def rotated(x_6: np.ndarray) -> Mounting:
        R = Rotation.from_matrix(start.R_body_camera_33) * Rotation.from_rotvec(x_6[:3])
        return replace(start, R_body_camera_33=R.as_matrix(), lever_3=x_6[3:])

    def residuals(x_6: np.ndarray) -> np.ndarray:
        body = rotated(x_6)
        parts = [
            ray_distances(pair, *relative_motion(*body.poses(p_23, q_24)))
            for pair, (p_23, q_24) in zip(sample, numbers, strict=True)
        ]
        return np.concatenate([np.minimum(np.concatenate(parts) * focal, 1e3), LEVER_PRIOR * x_6[3:]])

    best = least_squares(residuals, np.zeros(6), loss="soft_l1", diff_step=1e-4, x_scale=[0.1] * 6, max_nfev=12)
    return rotated(best.x)


def _thinned(pair: MatchedPair) -> MatchedPair:
    step = max(1, len(pair.rays_first_N2) // MATCHES_PER_PAIR)
    return replace(pair, rays_first_N2=pair.rays_first_N2[::step], rays_second_N2=pair.rays_second_N2[::step])

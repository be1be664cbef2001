"""The errors that remain once estimates and ground truth are aligned: are they in the same frame?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from transposenet_core.evaluation.errors import ErrorSummary, pose_errors, summarise
from transposenet_core.geometry.pose import Pose, rotation_angle_deg, stack
from transposenet_core.geometry.similarity import Similarity

LEAST_FRAMES = 4  # of three noisy ones one in twenty fits accidentally
LEAST_SPREAD = 1e-6  # metres beside the main direction: on a line the rotation about it is undetermined
ANOTHER_FRAME = 0.2  # aligned median beside the raw one: so much better is not accidental


@dataclass(frozen=True, eq=False)
class Alignment:
    """``T_ground_truth_map``, which moves the estimates' map onto that of the ground truth with the least squared
    distances, the errors after it, and the best-fitting scale (not applied)."""

    T_ground_truth_map: Pose
    scale: float
    errors: ErrorSummary

    def to_dict(self, units: str = "metres") -> dict:
        return {
            "T_ground_truth_map": self.T_ground_truth_map.to_dict(),
            "scale": self.scale,
            "errors": self.errors.to_dict(units),
        }

    def text(self, unit: str = "m") -> str:
        """In words; `unit` is that of positions."""
        rotation = float(rotation_angle_deg(self.T_ground_truth_map.orientation, np.array([1.0, 0, 0, 0])))
        translation = float(np.linalg.norm(self.T_ground_truth_map.position))
        return (
            f"median {self.errors.median_m:.3f} {unit} {self.errors.median_deg:.2f} deg after a translation of "
            f"{translation:.3f} {unit} and a rotation of {rotation:.2f} deg; best scale {self.scale:.3f}, not applied"
        )

    def __str__(self) -> str:
        return self.text()

    def another_frame(self, raw: ErrorSummary, unit: str = "m") -> str:
        """A warning where the estimates fit the ground truth far better after alignment, else ''."""
        if self.errors.median_m >= ANOTHER_FRAME * raw.median_m:
            return ""
        return (
            f"the ground truth seems to be in another frame: the median is {raw.median_m:.3f} {unit}, and "
            f"{self.errors.median_m:.3f} {unit} after alignment with the estimates"
        )


def align(estimates: Sequence[Pose], ground_truth_poses: Sequence[Pose]) -> Alignment | None:
    """SE(3) alignment of poses of the same frames. None for fewer than `LEAST_FRAMES`, or where they are on one line
    within the errors: the rotation about it would be arbitrary."""
    if len(estimates) < LEAST_FRAMES:
        return None
    e_N3, t_N3 = stack(list(estimates))[0], stack(list(ground_truth_poses))[0]
    # How far the positions are from their main direction, root mean square.
    aside = [np.linalg.svd(x_N3 - x_N3.mean(axis=0), compute_uv=False)[1] / np.sqrt(len(x_N3)) for x_N3 in (e_N3, t_N3)]
    if min(aside) <= LEAST_SPREAD:
        return None
    try:
        scaled, rigid = (Similarity.of_points(e_N3, t_N3, with_scale) for with_scale in (True, False))
    except ValueError:  # on a line of kilometres
        return None
    left_N3 = t_N3 - scaled.points(e_N3)
    if min(aside[0] * scaled.scale, aside[1]) <= np.sqrt(np.mean(np.sum(left_N3**2, axis=1))):
        return None
    moved = [rigid(estimate) for estimate in estimates]
    return Alignment(rigid.T_to_from, scaled.scale, summarise(*pose_errors(moved, list(ground_truth_poses))))

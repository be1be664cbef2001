"""What is left of the errors once estimates and truth are laid onto each other: are they in one frame at all?

Umeyama, "Least-squares estimation of transformation parameters between two point patterns", 1991, on the positions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from transposenet_core.evaluation import ErrorSummary, pose_errors, summarise
from transposenet_core.pose import Pose, nearest_rotation, rotation_angle_deg, stack

LEAST_SPREAD = 1e-6  # of the second singular value beside the first: on a line nothing says how to turn about it
ANOTHER_FRAME = 0.2  # aligned median beside the raw one: so much better is no accident of the estimates


@dataclass(frozen=True, eq=False)
class Alignment:
    """``T_truth_map`` that moves the estimates' map onto the truth's with the least squared distances, the errors after
    it, and the scale that would fit as well as it can (it is not applied)."""

    T_truth_map: Pose
    scale: float
    errors: ErrorSummary

    def to_dict(self) -> dict:
        return {"T_truth_map": self.T_truth_map.to_dict(), "scale": self.scale, "errors": self.errors.to_dict()}

    def __str__(self) -> str:
        turn = float(rotation_angle_deg(self.T_truth_map.orientation, np.array([1.0, 0, 0, 0])))
        shift = float(np.linalg.norm(self.T_truth_map.position))
        return (
            f"median {self.errors.median_m:.3f} m {self.errors.median_deg:.2f} deg after a shift of {shift:.3f} m and "
            f"a turn of {turn:.2f} deg; best scale {self.scale:.3f}, not applied"
        )

    def another_frame(self, raw: ErrorSummary) -> str:
        """A warning where the estimates fit a moved truth far better than the given one, else ''."""
        if self.errors.median_m >= ANOTHER_FRAME * raw.median_m:
            return ""
        return (
            f"the truth looks like that of another frame: the median is {raw.median_m:.3f} m, and "
            f"{self.errors.median_m:.3f} m once it is laid onto the estimates"
        )


def align(estimates: Sequence[Pose], truths: Sequence[Pose]) -> Alignment | None:
    """SE(3) alignment of poses of the same frames. None for fewer than three, or where all stand on one line."""
    if len(estimates) < 3:
        return None
    e_N3, t_N3 = stack(list(estimates))[0], stack(list(truths))[0]
    e_centre_3, t_centre_3 = e_N3.mean(axis=0), t_N3.mean(axis=0)
    moment_33 = (t_N3 - t_centre_3).T @ (e_N3 - e_centre_3)
    spread_3 = np.linalg.svd(moment_33, compute_uv=False)
    if spread_3[1] <= LEAST_SPREAD * max(spread_3[0], np.finfo(float).tiny):
        return None
    R_33 = nearest_rotation(moment_33)
    T_44 = np.eye(4)
    T_44[:3, :3], T_44[:3, 3] = R_33, t_centre_3 - R_33 @ e_centre_3
    T_truth_map = Pose.from_matrix(T_44)
    scale = float(np.trace(R_33.T @ moment_33) / np.sum((e_N3 - e_centre_3) ** 2))
    moved = [T_truth_map @ estimate for estimate in estimates]
    return Alignment(T_truth_map, scale, summarise(*pose_errors(moved, list(truths))))

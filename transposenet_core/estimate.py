"""What one call of the localizer returns."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from transposenet_core.geometry.covariance import moved_covariance
from transposenet_core.geometry.pose import Pose

LOST_VARIANCE = 1e4  # m^2, rad^2: of an estimate without a pose
# Why a frame is not localized.
NON_FINITE_OUTPUT, OUT_OF_SCENE = "non_finite_output", "out_of_scene"
REASONS = (NON_FINITE_OUTPUT, OUT_OF_SCENE)


@dataclass(frozen=True, eq=False)
class Estimate:
    """Where the camera is, how certain that is, and whether it can be trusted.

    ``pose`` is ``T_map_camera``, None where ``reason`` is ``non_finite_output``; where it is ``out_of_scene`` the frame
    is taken for one of another place, ``explanation`` tells why, and the pose is not to be trusted. ``covariance_66``
    orders position then rotation vector, both along the axes of the map frame, in metres and radians; ``reason`` is
    empty where ``localized`` is true; ``map_frame`` names the frame the pose is in. ``attention``, empty unless it was
    asked for, holds under ``position`` and ``orientation`` how much each encoder's token attends to the cells of the
    window that the network saw (`Preprocessing.window`): (H_m, W_m) float32, not negative, together at most 1
    (TransPoseNet, section 4.2 and Figure 3). ``covariance_source`` describes where the covariance comes from. Of a
    model of several scenes ``scene`` is the selected one, ``scene_probability`` how sure the network is of it (None
    of one scene), and the covariance is the error within it. ``time_offset_s`` is the scene's: added to an image's
    stamp it gives the time of its pose. ``units`` are those of positions: "metres", or "arbitrary" if the scale of
    the scene is not known, then instead of metres above. ``backend`` is what ran the network, with its precision.
    ``refined``: the pose is the network's, refined against keyframes; ``refinement`` is what they said, '' where none
    were asked; ``unrefined`` is then the estimate without them, and ``refinement_s`` the seconds that they took.
    """

    pose: Pose | None
    covariance_66: np.ndarray
    localized: bool
    reason: str
    scene: str
    map_frame: str
    attention: dict[str, np.ndarray] = field(default_factory=dict)
    covariance_source: str = ""
    scene_probability: float | None = None
    explanation: str = ""
    time_offset_s: float = 0.0
    units: str = "metres"
    backend: str = ""
    refined: bool = False
    refinement: str = ""
    unrefined: Estimate | None = None
    refinement_s: float = 0.0

    def in_metres(self, metres_per_unit: float) -> Estimate:
        """The same estimate of a scene in arbitrary units, of which one has so many metres."""
        scale_6 = np.repeat((metres_per_unit, 1.0), 3)
        pose = self.pose and Pose(metres_per_unit * self.pose.position, self.pose.orientation)
        covariance_66 = self.covariance_66 * np.outer(scale_6, scale_6)
        unrefined = self.unrefined and self.unrefined.in_metres(metres_per_unit)
        return replace(self, pose=pose, covariance_66=covariance_66, units="metres", unrefined=unrefined)

    def of_the_labelled(self, T_pose_camera: Pose) -> Estimate:
        """The estimate of the body on whose mount the camera is, from the camera's: ``T_map_camera T_camera_pose``."""
        if self.pose is None:
            return self
        labelled = self.pose @ T_pose_camera.inverse()
        covariance_66 = moved_covariance(self.covariance_66, labelled.position - self.pose.position)
        unrefined = self.unrefined and self.unrefined.of_the_labelled(T_pose_camera)
        return replace(self, pose=labelled, covariance_66=covariance_66, unrefined=unrefined)

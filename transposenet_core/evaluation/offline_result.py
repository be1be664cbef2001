"""The outcome of an offline evaluation: estimates beside ground truth and baselines, their errors and covariances."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from transposenet_core.estimate import Estimate
from transposenet_core.evaluation.alignment import Alignment, align
from transposenet_core.evaluation.calibration import CovarianceCalibration
from transposenet_core.evaluation.errors import ErrorSummary, pose_errors, summarise, table
from transposenet_core.evaluation.frame_origin import FrameOrigin
from transposenet_core.geometry.covariance import error_vectors
from transposenet_core.geometry.pose import Pose
from transposenet_core.inspection.reconstruction_error import ReconstructionError
from transposenet_core.scene import PosedImage, unit_name
from transposenet_core.scene_model import MappedScene

FAR_OFF = 0.25  # metres: a refined pose that is off by more is a wrong one
OTHER_SCENE = "other_scene"  # the reason of an estimate in the map of another of the model's scenes


@dataclass(frozen=True, eq=False)
class OfflineResult:
    """Lists are by image, in the order of ``images``. Poses are ``T_map_camera``, covariances (6, 6) in metres and
    radians.

    ``images`` are those of the split ``select`` of the scene, which ``mapped_scene`` is to the scene model;
    ``several_scenes``: the model knows others, too. ``baselines`` are poses for the same images by the
    baseline's name, ``architecture`` is the model's own name beside them. ``reconstruction`` is None where the model
    draws no images; ``assumed_rate_hz`` is the scene's, ``origin`` says what the model knows of the images. ValueError
    where the lists are not of the same length.
    """

    scene: str
    select: str
    architecture: str
    mapped_scene: MappedScene
    images: list[PosedImage]
    estimates: list[Estimate]
    baselines: dict[str, list[Pose]]
    several_scenes: bool = False
    reconstruction: ReconstructionError | None = None
    assumed_rate_hz: float | None = None
    origin: FrameOrigin | None = None

    def __post_init__(self) -> None:
        counts = {len(self.images), len(self.estimates), *map(len, self.baselines.values())}
        if len(counts) > 1:
            raise ValueError(f"images, estimates and poses of the baselines differ in number: {sorted(counts)}")

    @property
    def ground_truth(self) -> list[Pose]:
        return [image.pose for image in self.images]

    @property
    def localized(self) -> list[int]:
        """Indices of the images that were localized."""
        return [index for index, pose in enumerate(self.localized_poses) if pose is not None]

    @property
    def localized_poses(self) -> list[Pose | None]:
        """The estimated pose of every image; None where it was not localized."""
        return [estimate.pose if estimate.localized else None for estimate in self.estimates]

    @property
    def in_scene(self) -> int:
        """How many images were assigned to this scene, localized or not."""
        return sum(estimate.reason != OTHER_SCENE for estimate in self.estimates)

    def errors(self) -> tuple[np.ndarray, np.ndarray]:
        """Metres (N,) and degrees (N,) of the `localized` images, in their order."""
        return pose_errors(*self._pairs())

    def errors_of_all(self) -> tuple[np.ndarray, np.ndarray]:
        """The same of all images, whether localized or not. ValueError where one has no
        pose."""
        poses = [estimate.pose for estimate in self.estimates if estimate.pose is not None]
        return pose_errors(poses, self.ground_truth)

    def summary(self) -> ErrorSummary:
        return summarise(*self.errors())

    @property
    def asked_keyframes(self) -> bool:
        """Whether the poses were to be refined."""
        return any(estimate.unrefined for estimate in self.estimates)

    def unrefined_summary(self) -> ErrorSummary:
        """The model's errors without refinement: of the images that are localized without it."""
        pairs = [
            (before.pose, ground_truth)
            for before, ground_truth in zip([e.unrefined or e for e in self.estimates], self.ground_truth, strict=True)
            if before.localized and before.pose is not None
        ]
        return summarise(*pose_errors([pose for pose, _ in pairs], [ground_truth for _, ground_truth in pairs]))

    def refinement(self) -> dict:
        """Shares of all images that were refined, and of those the share that is off by more than FAR_OFF; seconds that
        it took in the median; the errors of the refined ones."""
        pairs = [
            (estimate.pose, ground_truth)
            for estimate, ground_truth in zip(self.estimates, self.ground_truth, strict=True)
            if estimate.refined and estimate.pose is not None
        ]
        position_M, rotation_M = pose_errors([pose for pose, _ in pairs], [ground_truth for _, ground_truth in pairs])
        wrong = float((position_M > FAR_OFF).mean()) if len(position_M) else None
        return {
            "refined_share": len(pairs) / len(self.images),
            **({"refined_beyond_25cm_share": wrong} if self.units == "metres" else {}),
            "median_s": float(np.median([e.refinement_s for e in self.estimates if e.unrefined])),
            "refined": summarise(position_M, rotation_M).to_dict(self.units),
        }

    def summaries(self) -> dict[str, ErrorSummary]:
        """The model's and the baselines', by name."""
        ground_truth = self.ground_truth
        baselines = {name: summarise(*pose_errors(poses, ground_truth)) for name, poses in self.baselines.items()}
        unrefined = {f"{self.architecture}, unrefined": self.unrefined_summary()} if self.asked_keyframes else {}
        return {self.architecture: self.summary(), **unrefined, **baselines}

    @cached_property
    def alignment(self) -> Alignment | None:
        """The `localized` estimates aligned with the ground truth by SE(3): a diagnosis of the frames, never the
        result."""
        return align(*self._pairs())

    @cached_property
    def covariance_calibration(self) -> CovarianceCalibration | None:
        """Whether the covariances are as large as the errors. None where nothing was localized."""
        indices = self.localized
        if not indices:
            return None
        covariance_N66 = np.stack([self.estimates[index].covariance_66 for index in indices])
        return CovarianceCalibration.of(error_vectors(*self._pairs()), covariance_N66)

    @property
    def units(self) -> str:
        """Those of estimated positions, and so of errors: one of `scene.UNITS`."""
        return self.mapped_scene.units

    def warnings(self) -> list[str]:
        """What a reader of the figures has to know first (fault matrix, E2, E10)."""
        found = self.origin.warnings(self.select) if self.origin else []
        if aligned := self.alignment:
            found += filter(None, [aligned.another_frame(self.summary(), unit_name(self.units))])
        return found

    def to_dict(self) -> dict:
        """The figures, unrounded, for JSON."""
        aligned, covariance = self.alignment, self.covariance_calibration
        figures: dict = {"warnings": self.warnings(), "units": self.units}
        if backends := sorted({estimate.backend for estimate in self.estimates if estimate.backend}):
            figures["backend"] = ", ".join(backends)
        if self.origin:
            figures["evaluated_frames"] = self.origin.to_dict()
        figures |= {name: summary.to_dict(self.units) for name, summary in self.summaries().items()}
        figures["aligned_se3"] = aligned and aligned.to_dict(self.units)
        if covariance:
            figures["covariance"] = covariance.to_dict()
        if self.asked_keyframes:
            figures["refinement"] = self.refinement()
        if self.several_scenes:
            figures["scene_accuracy"] = self.in_scene / len(self.images)
        if self.reconstruction:
            figures["reconstruction"] = self.reconstruction.to_dict()
        return figures

    def table(self) -> str:
        """The same as text."""
        return "\n".join([self.pose_table(), *([str(self.reconstruction)] if self.reconstruction else [])])

    def pose_table(self) -> str:
        """`table` without the line on drawn images."""
        count = len(self.images)
        lines = [*(f"WARN {warning}" for warning in self.warnings()), table(self.summaries(), self.units)]
        lines.append(f"localized {len(self.localized)} of {count} frames of {self.scene}, split {self.select}")
        if self.asked_keyframes:
            lines.append(self._refinement_line())
        if self.alignment:
            aligned = self.alignment.text(unit_name(self.units))
            lines.append(f"aligned by SE(3), to diagnose the frames, not the result: {aligned}")
        if self.covariance_calibration:
            lines.append(str(self.covariance_calibration))
        if self.several_scenes:
            lines.append(f"scene found in {self.in_scene} of {count} frames: {self.in_scene / count:.1%}")
        return "\n".join(lines)

    def _refinement_line(self) -> str:
        figures = self.refinement()
        wrong = figures.get("refined_beyond_25cm_share")
        return (
            f"refined against keyframes: {figures['refined_share']:.1%} of the frames"
            + (f", of which {wrong:.1%} are off by more than {FAR_OFF} m" if wrong is not None else "")
            + f"; it took {1000 * figures['median_s']:.1f} ms in the median"
        )

    def _pairs(self) -> tuple[Sequence[Pose], Sequence[Pose]]:
        """Estimated and ground-truth poses of the `localized` images."""
        both = zip(self.localized_poses, self.ground_truth, strict=True)
        pairs = [(pose, ground_truth) for pose, ground_truth in both if pose is not None]
        return [pose for pose, _ in pairs], [ground_truth for _, ground_truth in pairs]

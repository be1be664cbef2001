"""The stage of the localizer that refines a network's estimate against the keyframes of its scene."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from transposenet_core.errors import UserError
from transposenet_core.estimate import OUT_OF_SCENE, Estimate
from transposenet_core.geometry.covariance import position_sigma
from transposenet_core.geometry.intrinsics import Intrinsics
from transposenet_core.geometry.pose import Pose
from transposenet_core.refinement import Refinement, Refiner
from transposenet_core.scene_model import MappedScene, RefinementError

REFINE = ("auto", "on", "off")
FAR = 0.06  # of the typical depth: where one sigma of the network's position is larger, predictions are far off
FAR_RAD = 0.06
# How far a refined position may be from the network's, in its sigmas and as a share of the typical depth: beyond it the
# pose fits another place that looks the same.
REACH_SIGMAS, LEAST_REACH = 5.0, 0.15


@dataclass(frozen=True, eq=False)
class RefinementStage:
    """The keyframes of a scene, its `camera`, and the error of poses refined against them, None where that could not be
    measured."""

    refiner: Refiner
    camera: Intrinsics
    error: RefinementError | None

    def refined(
        self, estimate: Estimate, image_HW3: np.ndarray, candidates: Sequence[Pose], same_camera: bool = True
    ) -> Estimate:
        """The estimate of the camera's pose in an image (H, W, 3) uint8 RGB, refined where keyframes confirm it; from
        `candidates` where the network names several. A network that does is no more than a guess without them:
        where none is confirmed, the frame is one of another place. An image of another camera than the scene's is not
        refined: keyframes would agree with a wrong pose, by 10 % of the distance for 10 % of focal length."""
        started = time.perf_counter()
        assert estimate.pose is not None  # the caller looks
        try:
            camera = self.camera.for_images(image_HW3.shape[1], image_HW3.shape[0])
            fault = "" if same_camera else "the image is of another camera than the training's"
        except UserError:
            fault = "the image has another aspect ratio than its camera"
        if fault:
            untried = replace(estimate, refinement=f"not tried: {fault}")
            return _unconfirmed(untried, untried.refinement) if candidates else untried
        sigma_6 = np.sqrt(np.diag(estimate.covariance_66))
        far = bool(candidates) or sigma_6[:3].max() > FAR * self.refiner.index.typical or sigma_6[3:].max() > FAR_RAD
        sigma, least = float(position_sigma(estimate.covariance_66)), LEAST_REACH * self.refiner.index.typical
        reach = None if candidates else max(REACH_SIGMAS * sigma, least)
        found = self.refiner.refine(image_HW3, camera, list(candidates) or [estimate.pose], far, reach)
        seconds = time.perf_counter() - started
        if not found.accepted or found.pose is None:
            sentence = f"not accepted: {found.fault}"
            unrefined = replace(estimate, refinement=sentence, unrefined=estimate, refinement_s=seconds)
            return _unconfirmed(unrefined, found.fault) if candidates else unrefined
        covariance_66, source = self._covariance(found, estimate)
        return replace(
            estimate,
            pose=found.pose,
            covariance_66=covariance_66,
            localized=True,
            reason="",
            explanation="",
            covariance_source=source,
            refined=True,
            refinement=f"{found.inliers} of {found.tried} corners of {len(found.keyframes)} keyframes agree",
            unrefined=estimate,
            refinement_s=seconds,
        )

    def _covariance(self, found: Refinement, estimate: Estimate) -> tuple[np.ndarray, str]:
        if self.error is None:
            return estimate.covariance_66, f"before refinement, {estimate.covariance_source}"
        sentence = f"the keyframes' covariance of this frame, scaled to the error of {self.error.source}"
        return self.error.covariance_66(found.covariance_66), sentence


def _unconfirmed(estimate: Estimate, fault: str) -> Estimate:
    """Not localized: one of several candidates is no more than a guess."""
    if not estimate.localized:
        return estimate
    why = f"no keyframe confirms it ({fault})"
    return replace(estimate, localized=False, reason=OUT_OF_SCENE, explanation=why)


def refinement_of(scene: MappedScene, refine: str, path: Path) -> RefinementStage | None:
    """The stage for a scene of the model at `path`; None where poses are not refined. UserError where `refine` is `on`
    and the scene has no keyframes, or their file is damaged."""
    if refine not in REFINE:
        raise UserError(f"refine '{refine}' is unknown, allowed are: {', '.join(REFINE)}")
    if refine == "off":
        return None
    if scene.keyframes is None or not scene.keyframes.count or scene.intrinsics is None:
        if refine == "on":
            raise UserError(
                f"{path}: the scene model has no keyframes of {scene.name}, which refine 'on' needs; add them with "
                "`transposenet keyframes MODEL --data DATA`, or use refine 'auto'"
            )
        return None
    return RefinementStage(Refiner(scene.keyframes.load()), scene.intrinsics, scene.refinement)

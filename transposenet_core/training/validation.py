"""Validation of a network on held-out frames: errors, a score to choose by, and the standard deviation of errors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import nn

from transposenet_core.errors import TrainingDivergedError
from transposenet_core.evaluation.calibration import error_std, nees
from transposenet_core.evaluation.errors import ErrorSummary, pose_errors, summarise
from transposenet_core.geometry.covariance import error_vectors, position_sigma
from transposenet_core.geometry.pose import Pose
from transposenet_core.geometry.pose_averaging import output_of_images
from transposenet_core.preprocessing import Preprocessing, normalise
from transposenet_core.scene_model import KEPT, Calibration, HeldOutError
from transposenet_core.training.data.pixels import PosedPixels

NOT_HELD_OUT = "none were held out"
TINY_SCALE = 1e-6  # frames without any error do not justify a covariance of zero


class InheritedValidationError(NamedTuple):
    """The validation error of an earlier model of the scene, and its calibration, by model."""

    error: HeldOutError
    calibration: dict[str, Calibration]


@dataclass(frozen=True)
class Validator:
    """Held-out frames, their ground truth, the training set's mean pose as reference, a description of the frames, and
    the number of their scene in the network. An ``inherited_error`` replaces the validation error of the frames in the
    scene model; ``model`` is the name under which a calibration is stored."""

    pixels: PosedPixels
    preprocessing: Preprocessing
    ground_truth_poses: list[Pose]
    constant: Pose
    source: str
    scene: int = 0
    inherited_error: InheritedValidationError | None = None
    model: str = ""

    def __call__(self, network: nn.Module) -> SceneValidation:
        """The score is the sum of both medians, each divided by that of the constant pose.

        A frame that is taken for another scene has the error of the constant pose and does not count for the deviation.
        """
        predictions = predict_in_scenes(network, self.pixels, self.preprocessing)
        estimates, scenes = predictions.poses, predictions.scenes
        right = [index for index, scene in enumerate(scenes) if scene == self.scene]
        estimates = [e if scene == self.scene else self.constant for e, scene in zip(estimates, scenes, strict=True)]
        errors = pose_errors(estimates, self.ground_truth_poses)
        summary = summarise(*errors)
        baseline = summarise(*pose_errors([self.constant] * len(self.ground_truth_poses), self.ground_truth_poses))
        score = summary.median_m / max(baseline.median_m, 1e-6) + summary.median_deg / max(baseline.median_deg, 1e-6)
        kept = right or range(len(estimates))
        error_N6 = error_vectors([estimates[i] for i in kept], [self.ground_truth_poses[i] for i in kept])
        position_std, rotation_std = error_std(error_N6)
        reported_N66 = None if predictions.covariance_N66 is None else predictions.covariance_N66[list(kept)]
        # No pose is accurate to a millimetre or milliradian here, and an EKF takes zero variance for certainty.
        floor = 1e-3
        held_out_error = HeldOutError(
            tuple(np.maximum(position_std, floor).tolist()),
            tuple(np.maximum(rotation_std, floor).tolist()),
            self.source,
        )
        error, calibration = self.inherited_error or (held_out_error, self._calibration(error_N6, reported_N66))
        accuracy = len(right) / len(estimates)
        return SceneValidation(summary, score, error, calibration, errors, accuracy)

    def poses(self, run: Callable[..., dict[str, torch.Tensor]], places: np.ndarray) -> list[Pose]:
        """Of the frames at `places`, by `run`: a network on the CPU in evaluation mode, or an equivalent. That of a
        frame that is taken for another scene is the constant one."""
        some = self.pixels.chosen(torch.from_numpy(places).to(self.pixels.device), torch.device("cpu"))
        found = _predicted(run, some, self.preprocessing)
        return [p if s == self.scene else self.constant for p, s in zip(found.poses, found.scenes, strict=True)]

    def _calibration(self, error_N6: np.ndarray, reported_N66: np.ndarray | None) -> dict[str, Calibration]:
        """The calibration of the network's own covariances (N, 6, 6), by the model's name; empty if it has none."""
        scale = None if reported_N66 is None else covariance_scale(error_N6, reported_N66)
        if scale is None or reported_N66 is None:
            return {}
        largest = None
        if NOT_HELD_OUT not in self.source:  # on memorised frames a network is overconfident
            largest = float(np.quantile(position_sigma(reported_N66) * np.sqrt(scale[0]), KEPT))
        return {self.model: Calibration(scale, largest)}


def covariance_scale(error_N6: np.ndarray, covariance_N66: np.ndarray) -> tuple[float, float] | None:
    """Factors that make the network's covariances as large as these errors, or None if they are not covariances."""
    try:
        found = nees(error_N6, covariance_N66)
    except np.linalg.LinAlgError:
        return None
    scale = max(found["position"], TINY_SCALE), max(found["rotation"], TINY_SCALE)
    return scale if np.isfinite(scale).all() else None


@dataclass(frozen=True)
class SceneValidation:
    """Errors on the held-out frames of one scene: their summary, a score (lower is better), their standard deviation,
    and the calibration of the network's own covariances.

    ``errors`` are the metres (N,) and degrees (N,) themselves, ``scene_accuracy`` is the share of frames whose scene
    was recognised.
    """

    summary: ErrorSummary
    score: float
    held_out_error: HeldOutError
    calibration: Mapping[str, Calibration]
    errors: tuple[np.ndarray, np.ndarray]
    scene_accuracy: float


def predict(network: nn.Module, pixels: PosedPixels, preprocessing: Preprocessing, batch: int = 32) -> list[Pose]:
    """Poses of images that are in memory. TrainingDivergedError if the network returns a pose that is not finite."""
    return predict_in_scenes(network, pixels, preprocessing, batch).poses


@dataclass(frozen=True)
class Predictions:
    """Poses, the scene of each (0 for a network of one scene), and the network's own covariances (N, 6, 6), if it has
    them."""

    poses: list[Pose]
    scenes: list[int]
    covariance_N66: np.ndarray | None


def predict_in_scenes(
    network: nn.Module, pixels: PosedPixels, preprocessing: Preprocessing, batch: int = 32
) -> Predictions:
    """The same with the other outputs of the network. TrainingDivergedError if a pose is not finite."""
    return _predicted(network.eval(), pixels, preprocessing, batch)


@torch.inference_mode()
def _predicted(
    run: Callable[..., dict[str, torch.Tensor]], pixels: PosedPixels, preprocessing: Preprocessing, batch: int = 32
) -> Predictions:
    poses: list[Pose] = []
    scenes: list[int] = []
    covariances: list[np.ndarray] = []
    device = pixels.position_N3.device  # the images may not all fit on it
    for image_B3HW in pixels.image_N3HW.split(max(batch // preprocessing.crops, 1)):
        view_B3HW = normalise(preprocessing.views(image_B3HW).to(device))
        output = output_of_images(run, view_B3HW, images=len(image_B3HW))
        numbers = zip(
            output["position"].double().cpu().numpy(), output["orientation"].double().cpu().numpy(), strict=True
        )
        scenes += output["scene"].tolist() if "scene" in output else [0] * len(image_B3HW)
        if "covariance" in output:
            covariances.append(output["covariance"].double().cpu().numpy())
        try:
            poses += [Pose(position, orientation) for position, orientation in numbers]
        except ValueError:
            raise TrainingDivergedError(
                "the network returns poses that are not finite; start again with a lower optimizer.learning_rate"
            ) from None
    return Predictions(poses, scenes, np.concatenate(covariances) if covariances else None)

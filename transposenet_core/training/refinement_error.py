"""How exact refined poses are, measured where the keyframes were not made: on validation frames, or where there are
none, on blocks of the training track against the keyframes of all other blocks."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize

from transposenet_core.evaluation.errors import ErrorSummary, pose_errors, summarise
from transposenet_core.geometry.covariance import error_vectors, with_error
from transposenet_core.geometry.undistortion import Undistorter
from transposenet_core.preprocessing import read_rectified
from transposenet_core.progress import ProgressBar
from transposenet_core.refinement import Refiner
from transposenet_core.scene import PosedImage, Scene, unit_name
from transposenet_core.scene_model import RefinementError
from transposenet_core.scene_model.keyframes import KeyframesFile
from transposenet_core.training.keyframes import MadeKeyframes, SceneKeyframes, make_keyframes

LEAST_FRAMES = 20  # validation frames; with fewer accepted ones nothing is stated
MOST_FRAMES = 200
BLOCKS = 8  # of the training track
# The predicted poses are the labels with errors of this size: of the typical depth, and in degrees, along each axis.
PRIOR_SHARE, PRIOR_DEG = 0.015, 1.0
# Bounds of the scale, and of what matches cannot show as shares of the errors themselves.
LEAST_OF_START, MOST_OF_START = np.array([0.05, 0.1, 0.1]), np.array([500.0, 3.0, 3.0])


def scene_keyframes(
    scene: Scene, most: int, threads: int, seed: int, progress: bool = True
) -> tuple[SceneKeyframes | None, str]:
    """The keyframes of a scene as its model gets them, None where there are none; and a sentence about them. `scene` is
    as it was recorded. UserError where an image cannot be read."""
    if most < 1:
        return None, ""
    seen = scene.of_the_camera()
    made = make_keyframes(seen, most, threads, progress)
    if made is None:
        return None, (
            "keyframes: none, since the training frames have no depth or no intrinsics; poses will not be refined "
            "(`transposenet map` computes depth)"
        )
    check = check_refinement(made, seen, seed, progress)
    return SceneKeyframes(KeyframesFile.of(made.keyframes), check.error), check.sentence(len(made.images), scene.units)


@dataclass(frozen=True, eq=False)
class RefinementCheck:
    """``error`` is None where too few frames were accepted. ``summary`` of the accepted ones, of ``tried``."""

    error: RefinementError | None
    summary: ErrorSummary
    tried: int

    def sentence(self, keyframes: int, units: str) -> str:
        """For the terminal."""
        found = self.summary
        return (
            f"{keyframes} keyframes: refined poses of {found.count} of {self.tried} frames are accepted, median "
            f"{found.median_m:.3f} {unit_name(units)} {found.median_deg:.2f} deg"
        )


def check_refinement(made: MadeKeyframes, scene: Scene, seed: int, progress: bool = True) -> RefinementCheck:
    """Refine frames of a scene, whose poses are the camera's, from poses near their labels. UserError where an image
    cannot be read."""
    assert scene.intrinsics is not None  # there are keyframes
    undistorter, rng = Undistorter(scene.intrinsics), np.random.default_rng(seed)
    rounds, source = _rounds(made, scene)
    total = sum(len(images) for _, images in rounds)
    found, covariances, ground_truth = [], [], []
    with ProgressBar(total=total, desc="refinement", unit="img", leave=False, disable=not progress) as bar:
        for refiner, image in _each(rounds):
            image_HW3 = read_rectified(image.path, undistorter)
            camera = undistorter.rectified.for_images(image_HW3.shape[1], image_HW3.shape[0])
            rotation_3 = np.radians(PRIOR_DEG) * rng.normal(size=3)
            position_3 = PRIOR_SHARE * refiner.index.typical * rng.normal(size=3)
            predicted = with_error(image.pose, np.concatenate((position_3, rotation_3)))
            outcome = refiner.refine(image_HW3, camera, [predicted])
            bar.update()
            if outcome.accepted and outcome.pose is not None:
                found.append(outcome.pose)
                covariances.append(outcome.covariance_66)
                ground_truth.append(image.pose)
    if len(found) < LEAST_FRAMES:
        return RefinementCheck(None, summarise(np.zeros(0), np.zeros(0)), total)
    error_N6 = error_vectors(found, ground_truth)
    summary = summarise(*pose_errors(found, ground_truth))
    return RefinementCheck(fitted(error_N6, np.stack(covariances), f"{len(found)} {source}"), summary, total)


def fitted(error_N6: np.ndarray, by_matches_N66: np.ndarray, source: str) -> RefinementError:
    """The error model that makes these errors most likely, given each frame's covariance by its matches."""

    def unlikely(logs_3: np.ndarray) -> float:
        covariance_N66 = model(logs_3).covariance_66(by_matches_N66)
        _, logdet_N = np.linalg.slogdet(covariance_N66)
        mahalanobis_N = np.einsum("ni,ni->n", error_N6, np.linalg.solve(covariance_N66, error_N6[..., None])[..., 0])
        return float(np.mean(logdet_N + mahalanobis_N))

    def model(logs_3: np.ndarray) -> RefinementError:
        scale, position_std, rotation_std = np.exp(np.clip(logs_3, low_3, high_3)).tolist()
        return RefinementError(scale, position_std, rotation_std, source)

    position, rotation = (float(np.sqrt(np.mean(np.square(part)))) for part in (error_N6[:, :3], error_N6[:, 3:]))
    start_3 = np.log([2.0, max(position, 1e-9), max(rotation, 1e-9)])
    low_3, high_3 = start_3 + np.log(LEAST_OF_START), start_3 + np.log(MOST_OF_START)
    return model(minimize(unlikely, start_3, method="Nelder-Mead", options={"maxiter": 300, "fatol": 1e-5}).x)


def _rounds(made: MadeKeyframes, scene: Scene) -> tuple[list[tuple[Refiner, list[PosedImage]]], str]:
    """Refiners with the frames to refine by each, and what these are."""
    held_out = [image for image in scene.images if image.split == "val"]
    if len(held_out) >= LEAST_FRAMES:
        return [(Refiner(made.keyframes), _spread(held_out, MOST_FRAMES))], "held-out frames, refined"
    training = [image for image in scene.images if image.split == "train"]
    block = math.ceil(len(training) / BLOCKS)
    rounds = []
    for start in range(0, len(training), block):
        names = {image.name for image in training[start : start + block]}
        others = np.array([n for n, image in enumerate(made.images) if image.name not in names], int)
        if len(others):
            middle = training[start : start + block]
            rounds.append((Refiner(made.keyframes.only(others)), _spread(middle, MOST_FRAMES // BLOCKS)))
    return rounds, "training frames, refined against keyframes of other parts of the recording"


def _each(rounds: list[tuple[Refiner, list[PosedImage]]]) -> Iterator[tuple[Refiner, PosedImage]]:
    for refiner, images in rounds:
        yield from ((refiner, image) for image in images)


def _spread(images: list[PosedImage], most: int) -> list[PosedImage]:
    return images[:: math.ceil(len(images) / most)] if images else []

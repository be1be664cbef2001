"""One sentence on an evaluation, and where the model is no better than retrieval: what to do, each with its number."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from transposenet_core.command_line import next_command
from transposenet_core.evaluation.baselines import CONSTANT, RETRIEVAL
from transposenet_core.evaluation.errors import ErrorSummary
from transposenet_core.evaluation.frame_origin import recognise
from transposenet_core.evaluation.offline_result import OfflineResult
from transposenet_core.evaluation.training_record import TrainingRecord
from transposenet_core.geometry.pose import rotation_angle_deg, stack
from transposenet_core.scene import Scene, unit_name

AS_GOOD = 0.9  # of retrieval's error: below, the model is better than copying the pose of the most similar image
NO_ERROR = 1e-6  # metres: retrieval of an image that it knows
LEAST_STEPS, USUAL_STEPS = 2000, 4000  # the presets make 2500 to 5000 of a room
FEW_FRAMES = 100
LARGEST_EXTENT, SMALLEST_EXTENT = 1000.0, 0.2  # metres of a scene that a network of these learns
SAME_UNITS = 1.02
RISING, FALLING, MORE_THAN_VALIDATED = 1.2, 0.9, 3.0
FAR_SHARE, FAR_DEG, UNSEEN_SHARE = 0.1, 30.0, 0.2


@dataclass(frozen=True)
class Verdict:
    """``sentence`` compares the model with nearest-neighbour retrieval; ``advice`` is what to do, a sentence for each
    cause that was found, empty where the model is better."""

    sentence: str
    advice: tuple[str, ...] = ()

    def __str__(self) -> str:
        return "\n".join([f"verdict: {self.sentence}", *(f"  - {each}" for each in self.advice)])


def verdict_of(result: OfflineResult, scene: Scene, record: TrainingRecord) -> Verdict:
    """The verdict on a result of `scene`; `record` is of the model's training."""
    figures = result.summaries()
    model, retrieval, constant = (figures[name] for name in (result.architecture, RETRIEVAL, CONSTANT))
    if not model.count:
        reason, count = Counter(estimate.reason for estimate in result.estimates).most_common(1)[0]
        return Verdict(
            f"no frame was localized: '{reason}' for {count} of {len(result.images)}", causes(result, scene, record)
        )
    unit = unit_name(result.units)
    error = f"a median error of {model.median_m:.3f} {unit} {model.median_deg:.2f} deg"
    if retrieval.median_m < NO_ERROR:
        known = "nearest-neighbour retrieval has none: it knows these images, and so does the model, perhaps"
        return Verdict(f"{error} shows nothing, because {known}; choose test frames with --split or --select")
    beside = (
        f"{_times(model.median_m / retrieval.median_m)} that of nearest-neighbour retrieval in position "
        f"({retrieval.median_m:.3f} {unit}) and {_times(model.median_deg / max(retrieval.median_deg, 1e-6))} in "
        f"rotation ({retrieval.median_deg:.2f} deg)"
    )
    position = model.median_m < AS_GOOD * retrieval.median_m
    rotation = model.median_deg < AS_GOOD * retrieval.median_deg
    if position and rotation:
        return Verdict(f"better than retrieval: {error} is {beside}")
    head = "partly better than retrieval" if position or rotation else "no better than retrieval"
    if model.median_m > constant.median_m:
        head = f"worse than a constant pose ({constant.median_m:.3f} {unit})"
    return Verdict(f"{head}: {error} is {beside}", causes(result, scene, record))


def causes(result: OfflineResult, scene: Scene, record: TrainingRecord) -> tuple[str, ...]:
    """What may be the cause of large errors, as sentences with a number and what to do."""
    found = [
        units_cause(result, scene),
        steps_cause(record),
        overfitting_cause(record, result.summary(), result.mapped_scene.held_out_error.source),
        views_cause(result),
    ]
    if named := tuple(filter(None, found)):
        return named
    steps, frames = record.steps or "unknown", record.frames or "unknown"
    looked_for = f"{steps} steps on {frames} frames, {len(record.validated_m)} validations, positions over"
    check = next_command("check", "DATA")
    return (f"none of the usual causes was found ({looked_for} {_extent(result):.3g}); check the data: {check}",)


def units_cause(result: OfflineResult, scene: Scene) -> str:
    """Other units than in training, or units that a network does not learn."""
    names, poses = [image.name for image in scene.images], [image.pose for image in scene.images]
    found = recognise(result.mapped_scene, names, poses)
    if found.moved and not 1 / SAME_UNITS < found.moved.scale < SAME_UNITS:
        return (
            f"units: the positions of the same {len(found.known)} frames are {1 / found.moved.scale:.4g} times those "
            "of training; evaluate the data that the model was trained on, or train again"
        )
    extent = _extent(result)
    if extent > LARGEST_EXTENT:
        return (
            f"units: the training positions extend over {extent:.4g}, which as metres is too far for one network: "
            f"write them in metres (as millimetres they are {extent / 1000:.3g} m), or train parts of the place"
        )
    if 0 < extent < SMALLEST_EXTENT:
        return (
            f"units: the training positions extend over {extent:.3g} only; write them in metres, or in units in which "
            "they extend over 1 to 10"
        )
    return ""


def steps_cause(record: TrainingRecord) -> str:
    """Too few steps, or a training that was still improving."""
    few = f" on {record.frames} frames, where a room needs several hundred" if record.frames < FEW_FRAMES else ""
    if 0 < record.steps < LEAST_STEPS:
        epochs = -(-USUAL_STEPS // max(record.steps // record.epochs, 1))
        return (
            f"too few steps: {record.steps} (epochs={record.epochs} over {record.frames} frames, "
            f"batch_size={record.batch_size}){few}; train with --epochs {epochs}, which makes about {USUAL_STEPS}"
        )
    medians = list(record.validated_m.items())
    before = [m for epoch, m in medians if epoch <= 0.75 * medians[-1][0]] if medians else []
    if before and medians[-1][1] < FALLING * min(before):
        return (
            f"too few epochs: in the last quarter of {medians[-1][0]} the validation error still fell from "
            f"{min(before):.3f} to {medians[-1][1]:.3f}; train with --epochs {2 * record.epochs}"
        )
    return ""


def overfitting_cause(record: TrainingRecord, tested: ErrorSummary, source: str) -> str:
    """A validation error that rises while the training loss falls, or one far below that of the test."""
    if not record.validated_m:
        return ""
    best = min(record.validated_m, key=lambda epoch: record.validated_m[epoch])
    last = max(record.validated_m)
    best_m, last_m = record.validated_m[best], record.validated_m[last]
    fell = record.loss.get(last, np.inf) < record.loss.get(best, -np.inf)
    if last > best and last_m > RISING * best_m and fell:
        return (
            f"overfitting: after epoch {best} of {last} the validation error rose from {best_m:.3f} to {last_m:.3f}, "
            f"while the training loss fell from {record.loss[best]:.3g} to {record.loss[last]:.3g}; record more, or "
            "use augmentation.virtual_rotation, augmentation.colour_jitter and augmentation.random_crop"
        )
    if best_m > 0 and tested.median_m > MORE_THAN_VALIDATED * best_m:
        return (
            f"overfitting: the median error is {tested.median_m / best_m:.1f} times the {best_m:.3f} of validation "
            f"({source}); record more drives, at other hours, or use more augmentation"
        )
    return ""


def views_cause(result: OfflineResult) -> str:
    """Test frames far from all training frames, in position or in direction, and the errors there and elsewhere."""
    frames = result.mapped_scene.frames
    training = frames.places("train")
    if not len(training):
        return ""
    positions_N3, orientations_N4 = frames.positions_N3[training], frames.orientations_N4[training]
    test_positions_M3, test_orientations_M4 = stack(result.ground_truth)
    radius = FAR_SHARE * _extent(result)
    near = cKDTree(positions_N3).query_ball_point(test_positions_M3, max(radius, 1e-9))
    far_M = np.array(
        [
            not len(each) or rotation_angle_deg(orientations_N4[each], orientation_4).min() > FAR_DEG
            for each, orientation_4 in zip(near, test_orientations_M4, strict=True)
        ]
    )
    if far_M.mean() < UNSEEN_SHARE:
        return ""
    metres_K, far_K = result.errors()[0], far_M[result.localized]
    errors = [
        f"{np.median(metres_K[chosen_K]):.3f} {where}"
        for chosen_K, where in ((far_K, "there"), (~far_K, "elsewhere"))
        if chosen_K.any()
    ]
    median = f" (median error {', '.join(errors)})" if errors else ""
    return (
        f"unseen views: {far_M.sum()} of {len(far_M)} frames look where training never did, with no training frame "
        f"within {radius:.2g} and {FAR_DEG:.0f} deg{median}; record these places and directions for training, or "
        "test what it has nearby (--split blocks)"
    )


def _extent(result: OfflineResult) -> float:
    """How far the training positions extend: the diagonal of their box, in the scene's units; 0 without any."""
    positions_N3 = result.mapped_scene.training_positions_N3
    return float(np.linalg.norm(np.ptp(positions_N3, axis=0))) if len(positions_N3) else 0.0


def _times(ratio: float) -> str:
    return f"{ratio:.2f} times" if ratio < 10 else f"{ratio:.0f} times"

"""The sentence at the end of an evaluation: better than retrieval, or each cause with its number."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from untrained import HELD_OUT

from transposenet_core.estimate import Estimate
from transposenet_core.evaluation.baselines import CONSTANT, RETRIEVAL
from transposenet_core.evaluation.offline_result import OfflineResult
from transposenet_core.evaluation.training_record import LARGEST_BYTES, METRICS, TrainingRecord
from transposenet_core.evaluation.verdict import verdict_of
from transposenet_core.geometry.pose import Pose
from transposenet_core.scene import PosedImage, Scene
from transposenet_core.scene_model import MappedScene, SceneModel
from transposenet_core.scene_model.known_frames import KnownFrames

DEMO = Path(__file__).resolve().parents[3] / "demo" / "model"
ENOUGH = TrainingRecord(frames=600, epochs=60, batch_size=8)


def rotated(degrees: float) -> np.ndarray:
    half = np.radians(degrees) / 2
    return np.array([np.cos(half), 0, np.sin(half), 0])


def evaluated(error_m: float, error_deg: float = 1.0, *, training_deg: float = 0.0, scale: float = 1.0) -> tuple:
    """A result and its scene: 40 frames on 4 m, every other one for training. Retrieval is off by 0.1 m and 2 deg."""
    poses = [Pose([0.1 * n * scale, np.sin(n / 10), 1.5], rotated(0)) for n in range(40)]
    images = [
        PosedImage(f"{n:03d}.png", Path(), pose, "test" if n % 2 else "train", "seq-01", n / 10)
        for n, pose in enumerate(poses)
    ]
    training, tested = images[::2], images[1::2]
    positions_N3 = np.array([image.pose.position for image in training])
    frames = KnownFrames.trained_on(
        positions_N3, np.array([rotated(training_deg)] * len(training)), [image.name for image in training]
    )

    def off(metres: float, degrees: float) -> list[Pose]:
        return [image.pose @ Pose([metres, 0, 0], rotated(degrees)) for image in tested]

    mapped = MappedScene("desk", "map", HELD_OUT, frames=frames)
    estimates = [Estimate(pose, np.eye(6), True, "", "desk", "map") for pose in off(error_m, error_deg)]
    baselines = {RETRIEVAL: off(0.1, 2.0), CONSTANT: off(1.0, 20.0)}
    return OfflineResult("desk", "test", "transposenet", mapped, tested, estimates, baselines), Scene("desk", images)


def test_a_model_that_is_better_than_retrieval_gets_one_sentence() -> None:
    assert str(verdict_of(*evaluated(0.02), ENOUGH)) == (
        "verdict: better than retrieval: a median error of 0.020 m 1.00 deg is 0.20 times that of nearest-neighbour "
        "retrieval in position (0.100 m) and 0.50 times in rotation (2.00 deg)"
    )
    partly = verdict_of(*evaluated(0.02, 6.0), ENOUGH)
    assert partly.sentence.startswith("partly better than retrieval: ") and "3.00 times in rotation" in partly.sentence


def test_e11_a_network_18_times_worse_than_retrieval_is_named_so_with_what_was_looked_for() -> None:
    verdict = verdict_of(*evaluated(1.8, 20.0), ENOUGH)
    assert verdict.sentence.startswith(
        "worse than a constant pose (1.000 m): a median error of 1.800 m 20.00 deg is 18"
    )
    assert "is 18 times that of nearest-neighbour retrieval in position (0.100 m)" in verdict.sentence
    looked_for = "(4500 steps on 600 frames, 0 validations, positions over 4.13); check the data: "
    (advice,) = verdict.advice
    assert advice.startswith(f"none of the usual causes was found {looked_for}")
    assert verdict_of(*evaluated(0.5), ENOUGH).sentence.startswith(
        "partly better than retrieval: a median error of 0.5"
    )


FEW = TrainingRecord(40, 60, 8)
BETTER_STILL = replace(ENOUGH, validated_m={15: 2.0, 30: 1.5, 45: 1.0, 60: 0.8})
RISING = replace(ENOUGH, validated_m={20: 0.3, 60: 0.6}, loss={20: 1.2, 60: -0.4})
VALIDATED = replace(ENOUGH, validated_m={40: 0.1, 60: 0.1})


@pytest.mark.parametrize(
    ("record", "number", "what_to_do"),
    [
        (FEW, "too few steps: 300 (epochs=60 over 40 frames, batch_size=8) on 40 frames", "train with --epochs 800, "),
        (BETTER_STILL, "too few epochs: in the last quarter of 60 the validation error still", "from 1.000 to 0.800;"),
        (BETTER_STILL, "too few epochs: ", "train with --epochs 120"),
        (
            RISING,
            "overfitting: after epoch 20 of 60 the validation error rose from 0.300 to 0.600",
            "use augmentation.",
        ),
        (RISING, "overfitting: ", "while the training loss fell from 1.2 to -0.4; record more"),
        (VALIDATED, "overfitting: the median error is 18.0 times the 0.100 of validation", "record more drives"),
    ],
)
def test_e11_steps_and_curves(record: TrainingRecord, number: str, what_to_do: str) -> None:
    (advice,) = verdict_of(*evaluated(1.8, 20.0), record).advice
    assert advice.startswith(number) and what_to_do in advice


def test_e11_units_of_the_data_and_of_the_scene() -> None:
    result, scene = evaluated(1.8, 20.0)
    millimetres = [replace(i, pose=Pose(1000 * i.pose.position, i.pose.orientation)) for i in scene.images]
    (advice,) = verdict_of(result, replace(scene, images=millimetres), ENOUGH).advice
    assert advice.startswith(
        "units: the positions of the same 20 frames are 1000 times those of training; evaluate the"
    )
    (advice,) = verdict_of(*evaluated(1.8, 20.0, scale=1000), ENOUGH).advice
    assert (
        advice.startswith("units: the training positions extend over 3800, which as metres is too far")
        and "3.8 m" in advice
    )
    result, scene = evaluated(1.8, 20.0)
    small = replace(result.mapped_scene.frames, positions_N3=0.01 * result.mapped_scene.frames.positions_N3)
    result = replace(result, mapped_scene=replace(result.mapped_scene, frames=small))
    advice = verdict_of(result, Scene("desk", result.images), ENOUGH).advice[0]
    assert advice.startswith("units: the training positions extend over 0.0413 only; write them in metres")


def test_e11_units_are_compared_over_the_same_frames_whatever_their_folder_and_not_by_names_alone() -> None:
    result, scene = evaluated(1.8, 20.0)
    larger = [Pose(1000 * image.pose.position, image.pose.orientation) for image in scene.images]
    moved = [replace(i, name=f"x/{i.name[:-4]}.jpg", pose=p) for i, p in zip(scene.images, larger, strict=True)]
    assert "same 20 frames are 1000 times" in verdict_of(result, replace(scene, images=moved), ENOUGH).advice[0]
    other = [replace(i, pose=pose) for i, pose in zip(scene.images, reversed(larger), strict=True)]
    other[5:15] = [replace(image, pose=Pose([n % 3, n, 9], rotated(9 * n))) for n, image in enumerate(other[5:15])]
    assert "units" not in str(verdict_of(result, replace(scene, images=other), ENOUGH))


def test_e11_a_test_that_looks_where_training_never_did() -> None:
    (advice,) = verdict_of(*evaluated(1.8, 20.0, training_deg=90.0), ENOUGH).advice
    assert advice.startswith(
        "unseen views: 20 of 20 frames look where training never did, with no training frame within 0.41 and 30 deg "
        "(median error 1.800 there); record these places"
    )
    result, scene = evaluated(1.8, 20.0)
    frames = result.mapped_scene.frames
    half = KnownFrames.trained_on(frames.positions_N3[:10], frames.orientations_N4[:10])
    result = replace(result, mapped_scene=replace(result.mapped_scene, frames=half))
    (advice,) = verdict_of(result, scene, ENOUGH).advice
    assert "10 of 20 frames look where" in advice and "(median error 1.800 there, 1.800 elsewhere)" in advice


def test_nothing_localized_and_frames_that_retrieval_knows() -> None:
    result, scene = evaluated(0.02)
    lost = [replace(e, localized=False, reason="out_of_scene") for e in result.estimates]
    verdict = verdict_of(replace(result, estimates=lost), scene, ENOUGH)
    assert verdict.sentence == "no frame was localized: 'out_of_scene' for 20 of 20" and verdict.advice
    known = replace(result, baselines=result.baselines | {RETRIEVAL: result.ground_truth})
    assert "0.020 m 1.00 deg shows nothing, because" in verdict_of(known, scene, ENOUGH).sentence


def test_the_record_is_read_from_the_folder_whatever_else_it_holds(tmp_path: Path) -> None:
    demo = SceneModel.load(DEMO)
    record = TrainingRecord.read(DEMO, demo)
    frames = len(demo.scenes[0].frames.places("train"))
    assert (record.frames, record.epochs, record.batch_size) == (frames, 22, 16)
    assert record.steps == 22 * -(-frames // 16) and len(record.loss) == 22
    assert record.validated_m[22] == pytest.approx(0.0481, abs=1e-4) and min(record.validated_m) == 2
    assert TrainingRecord.read(tmp_path, demo) == TrainingRecord(frames, 22, 16)
    lines = [
        *("not json", "[1]", '{"epoch": 1}', '{"epoch": true, "stage": "all"}', "[" * 100_000),
        '{"epoch": 3, "stage": "all", "train_loss": NaN}',
        '{"epoch": 4, "stage": "all", "train_loss": "x", "val_median_m": 0.5}',
        '{"epoch": 5, "stage": "other", "train_loss": 1}',
        '{"epoch": 6, "stage": "all", "train_lo',
    ]
    (tmp_path / METRICS).write_text("\n".join(lines))
    assert TrainingRecord.read(tmp_path, demo) == TrainingRecord(frames, 1, 16, {}, {4: 0.5})
    with open(tmp_path / METRICS, "wb") as file:
        file.truncate(LARGEST_BYTES + 1)
    assert TrainingRecord.read(tmp_path, demo) == TrainingRecord(frames, 22, 16)

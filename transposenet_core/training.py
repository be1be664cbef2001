"""The parts of a training run: what the loop in training/train.py calls, in the order in which it calls it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.utils.tensorboard import SummaryWriter

from transposenet_core.augmentation import colour_jitter, random_crop
from transposenet_core.config import AugmentationConfig, TrainConfig
from transposenet_core.errors import UserError
from transposenet_core.evaluation import ErrorSummary, error_std, pose_errors, summarise
from transposenet_core.models import build_model
from transposenet_core.pixels import PosedPixels
from transposenet_core.pose import Pose, mean_pose, stack
from transposenet_core.preprocessing import Preprocessing, normalise
from transposenet_core.scene import PosedImage, Scene
from transposenet_core.scene_model import HeldOutError, SceneModel

THINNED_POSES = 2000


def seeded(seed: int, epoch: int) -> torch.Generator:
    """The one source of an epoch's order and augmentation: a resumed run draws what the unbroken one would have."""
    return torch.Generator().manual_seed(seed * 1_000_003 + epoch)


def build_network(config: TrainConfig, training: Sequence[PosedImage]) -> tuple[Any, dict]:
    """The configured network, started from the training set's mean pose, and the options that build it again."""
    torch.manual_seed(config.seed)
    options = {**config.model.options, "image_size": [config.picture.height, config.picture.width]}
    try:
        network: Any = build_model(config.model.name, **options)
    except (ValueError, TypeError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise UserError(f"model '{config.model.name}' with {options} cannot be built: {reason}") from None
    start = mean_pose([image.pose for image in training])
    network.start_from(torch.from_numpy(start.position), torch.from_numpy(start.orientation))
    return network, options


def batches(pixels: PosedPixels, size: int, generator: torch.Generator) -> Iterator[PosedPixels]:
    """An epoch in random order. A last batch of one is left out: batch norm has no statistics over one picture."""
    order = torch.randperm(len(pixels), generator=generator)
    for index in order.to(pixels.image_N3HW.device).split(size):
        if len(index) > 1 or len(pixels) == 1:
            yield PosedPixels(pixels.image_N3HW[index], pixels.position_N3[index], pixels.orientation_N4[index])


def augment(
    image_B3HW: torch.Tensor, preprocessing: Preprocessing, config: AugmentationConfig, generator: torch.Generator
) -> torch.Tensor:
    """A training batch (B, 3, h, w) uint8 to the network's input (B, 3, H, W) float32."""
    if config.random_crop:
        image_B3HW = random_crop(image_B3HW, preprocessing, generator)
    else:
        image_B3HW = preprocessing.crop(image_B3HW)
    if config.colour_jitter > 0:
        image_B3HW = colour_jitter(image_B3HW, config.colour_jitter, generator)
    return normalise(image_B3HW)


@torch.inference_mode()
def predict(network: nn.Module, pixels: PosedPixels, preprocessing: Preprocessing, batch: int = 32) -> list[Pose]:
    """Poses of pictures that are in memory. UserError where the network answers no finite pose."""
    network.eval()
    poses = []
    for image_B3HW in pixels.image_N3HW.split(batch):
        output = network(normalise(preprocessing.crop(image_B3HW)))
        numbers = zip(
            output["position"].double().cpu().numpy(), output["orientation"].double().cpu().numpy(), strict=True
        )
        try:
            poses += [Pose(position, orientation) for position, orientation in numbers]
        except ValueError:
            raise UserError(
                "the network answers poses that are not finite; start again with a lower optimizer.learning_rate"
            ) from None
    return poses


@dataclass(frozen=True)
class Validation:
    """Errors on held-out frames: their figures, a score to choose by (lower is better), and their deviation."""

    summary: ErrorSummary
    score: float
    held_out_error: HeldOutError


def validate(
    network: nn.Module,
    pixels: PosedPixels,
    preprocessing: Preprocessing,
    truths: list[Pose],
    constant: Pose,
    source: str,
) -> Validation:
    """Judge a network on frames. The score adds both medians, each as a share of what a constant pose reaches."""
    estimates = predict(network, pixels, preprocessing)
    summary = summarise(*pose_errors(estimates, truths))
    baseline = summarise(*pose_errors([constant] * len(truths), truths))
    score = summary.median_m / max(baseline.median_m, 1e-6) + summary.median_deg / max(baseline.median_deg, 1e-6)
    position_std, rotation_std = error_std(estimates, truths)
    floor = 1e-3  # nothing is known to a millimetre or a milliradian here, and zero variance means certainty to an EKF
    held_out_error = HeldOutError(
        tuple(np.maximum(position_std, floor).tolist()), tuple(np.maximum(rotation_std, floor).tolist()), source
    )
    return Validation(summary, score, held_out_error)


def make_scene_model(
    scene: Scene, config: TrainConfig, options: dict, network: nn.Module, validation: Validation, provenance: dict
) -> SceneModel:
    """Everything a robot needs to run this network in this scene."""
    training = scene.select("train")
    step = -(-len(training) // THINNED_POSES)
    positions_N3, orientations_N4 = stack([image.pose for image in training[::step]])
    figures = {"validation": validation.summary.to_dict(), "config": config.to_dict()}
    return SceneModel(
        name=scene.name,
        map_frame=scene.map_frame,
        architecture=config.model.name,
        options=options,
        preprocessing=Preprocessing(config.picture.smaller_edge, (config.picture.height, config.picture.width)),
        network=network,
        held_out_error=validation.held_out_error,
        intrinsics=scene.intrinsics,
        training_positions_N3=positions_N3,
        training_orientations_N4=orientations_N4,
        provenance=provenance | figures,
    )


def is_usable(folder: Path) -> bool:
    """Whether a whole scene model lies in a folder."""
    try:
        SceneModel.load(folder)
    except UserError:
        return False
    return True


def frames_digest(scene: Scene) -> str:
    """A hash of which picture is in which split: what a resumed run must share with its beginning."""
    listed = "\n".join(f"{image.split},{image.name}" for image in scene.images)
    return hashlib.sha256(listed.encode()).hexdigest()[:16]


class Curves:
    """Figures of a run in metrics.jsonl and TensorBoard, appended to when a run goes on."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._file = open(folder / "metrics.jsonl", "a")  # noqa: SIM115 - it lives as long as the run
        self._board = SummaryWriter(str(folder / "tensorboard"))

    def write(self, step: int, **figures: float) -> None:
        self._file.write(json.dumps({"epoch": step, **figures}) + "\n")
        self._file.flush()
        for name, value in figures.items():
            self._board.add_scalar(name, value, step)

    def close(self) -> None:
        self._file.close()
        self._board.close()

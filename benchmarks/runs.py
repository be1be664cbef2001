"""One training and its evaluation on the test frames: done once, resumed where it was interrupted."""

from __future__ import annotations

import csv
import json
from collections import Counter
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

from training import train
from transposenet_core.atomic_files import write_atomically
from transposenet_core.errors import UserError
from transposenet_core.evaluation.errors import PREDICTION_COLUMNS, pose_errors, summarise, write_predictions
from transposenet_core.evaluation.offline import evaluate_offline, image_reader
from transposenet_core.evaluation.offline_report import draw_offline_report
from transposenet_core.evaluation.offline_result import OfflineResult
from transposenet_core.formats import load_scene
from transposenet_core.geometry.pose import Pose
from transposenet_core.localizer import Localizer
from transposenet_core.scene import PosedImage, Scene
from transposenet_core.training.checkpoint import difference
from transposenet_core.training.config import TrainConfig
from transposenet_core.training.config_reading import load_config
from transposenet_core.training.data.holdout import hold_out_validation
from transposenet_core.training.outcome import frames_digest

RESULT, CHECKPOINT, PREDICTIONS = "result.json", "checkpoint.safetensors", "predictions.csv"
POSITION, ORIENTATION = PREDICTION_COLUMNS[1:4], PREDICTION_COLUMNS[4:8]


@dataclass(frozen=True)
class Run:
    """A training's data and configuration, and the folder for its scene model, predictions and result."""

    data: str
    split: str | None
    preset: str
    overrides: tuple[str, ...]
    folder: Path

    @property
    def config(self) -> TrainConfig:
        return load_config(self.preset, self.overrides)

    def finished(self) -> dict[str, Any] | None:
        """The result in the folder, or None. UserError if it is of another configuration or other frames.

        A result holds the figures of `ErrorSummary` over all test frames; how many training frames were trained on,
        held out to choose the checkpoint on, or left out between the two; and the epochs of both stages.
        """
        path = self.folder / RESULT
        if not path.exists():
            return None
        try:
            content = json.loads(path.read_text())
            setup, result = content["setup"], content["result"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UserError(
                f"{path}: not the result of a run ({error!r}); remove the file or give another --out"
            ) from None
        changed = difference(setup, self._setup())
        if changed:
            raise UserError(f"{path}: made with another setup ({'; '.join(changed)}); use that or give another --out")
        return result

    def finish(self) -> dict[str, Any]:
        """Train and evaluate unless finished; the result. UserError if that fails, KeyboardInterrupt if interrupted."""
        result = self.finished()
        if result is not None:
            print(f"{self.folder}: finished before, not trained again")
            return result
        scene = load_scene(self.data, self.split, skip_bad=True)  # reports a fault itself, not as an exit code
        what = ["--data", self.data, "--skip-bad", *(["--split", self.split] if self.split else [])]
        resume = ["--resume"] if (self.folder / CHECKPOINT).exists() else []
        _call(train.main, ["--config", self.preset, *what, "--out", str(self.folder), *resume, *self.overrides])
        torch.set_float32_matmul_precision("highest")  # training allows TF32, evaluation does not
        evaluated = self._evaluated(scene)
        # All test frames count, as in the papers: frames that the localizer itself rejects are evaluated as well.
        result = self._frames_and_epochs(scene) | summarise(*evaluated.errors_of_all()).to_dict()
        write_json(self.folder / RESULT, {"setup": self._setup(), "result": result})
        return result

    def _evaluated(self, scene: Scene) -> OfflineResult:
        """The scene model on the test frames: figures printed, images and predictions in the folder."""
        localizer = Localizer(self.folder, self.config.device, backend="torch")
        evaluated = evaluate_offline(localizer, scene, progress=True)
        print(evaluated.pose_table())
        read = image_reader(scene, evaluated.mapped_scene)
        for what, path in draw_offline_report(self.folder, evaluated, localizer.scene_model, read).items():
            print(f"{what}: {path}")
        if evaluated.reconstruction:
            print(evaluated.reconstruction)
        write_predictions(self.folder / PREDICTIONS, [i.name for i in evaluated.images], evaluated.estimates)
        return evaluated

    def _frames_and_epochs(self, scene: Scene) -> dict[str, Any]:
        config = self.config
        split = hold_out_validation(scene) if config.hold_out else scene
        used = Counter(image.split for image in split.images)
        return {
            "trained_on": used["train"],
            "chosen_on": used["val"],
            "left_out": len(scene.select("train")) - used["train"] - used["val"],
            "epochs": config.epochs,
            "head_epochs": config.heads.epochs,
        }

    def _setup(self) -> dict[str, Any]:
        """What a result depends on, as it is after a round trip through JSON."""
        return json.loads(json.dumps({"config": self.config.to_dict(), "frames": _digest(self.data, self.split)}))


@lru_cache
def _digest(data: str, split: str | None) -> str:
    """Digest of a scene's frames, cached: it is needed many times, and reading thousands of poses takes seconds."""
    return frames_digest(load_scene(data, split, skip_bad=True))


def _call(main: Any, arguments: list[str]) -> None:
    code = main(arguments)
    if code == 130:
        raise KeyboardInterrupt
    if code:
        raise UserError(f"{main.__module__.replace('.', '/')}.py {' '.join(arguments)} ended with exit code {code}")


def prediction_errors(path: Path, images: list[PosedImage]) -> tuple[np.ndarray, np.ndarray]:
    """Position errors (N,) in metres and orientation errors (N,) in degrees of the poses that a file has for `images`.

    UserError if it has other images.
    """
    with open(path, newline="") as file:
        rows = {row["image"]: row for row in csv.DictReader(file)}
    if rows.keys() != {image.name for image in images}:
        raise UserError(f"{path}: its {len(rows)} images are not the {len(images)} test frames; remove the file")
    estimates = [_pose(rows[image.name]) for image in images]
    return pose_errors(estimates, [image.pose for image in images])


def _pose(row: dict[str, str]) -> Pose:
    position, orientation = (np.array([float(row[key]) for key in keys]) for keys in (POSITION, ORIENTATION))
    return Pose(position, orientation)


def write_json(path: Path, content: dict[str, Any]) -> None:
    write_text(path, json.dumps(content, indent=1, ensure_ascii=False) + "\n")


def write_text(path: Path, text: str) -> None:
    with write_atomically(path) as temporary:
        temporary.write_text(text, encoding="utf-8")

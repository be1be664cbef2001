"""What a scene model's folder tells about its training: how long it was, and its curves."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from transposenet_core import checked
from transposenet_core.scene_model import SceneModel

METRICS = "metrics.jsonl"
LARGEST_BYTES = 64_000_000  # a folder from elsewhere may hold anything under this name


@dataclass(frozen=True)
class TrainingRecord:
    """``frames`` in an epoch, ``epochs`` that were run and ``batch_size``; 0 where it is not known, or without steps.

    By epoch, of the stage that the scene model is from: the training ``loss``, and the median position error
    ``validated_m`` on the validated frames. Both are empty where no metrics lie beside the model.
    """

    frames: int = 0
    epochs: int = 0
    batch_size: int = 0
    loss: Mapping[int, float] = field(default_factory=dict)
    validated_m: Mapping[int, float] = field(default_factory=dict)

    @property
    def steps(self) -> int:
        """Steps of the optimizer; 0 where that is not known."""
        return self.epochs * math.ceil(self.frames / self.batch_size) if self.batch_size else 0

    @classmethod
    def read(cls, folder: Path, scene_model: SceneModel) -> TrainingRecord:
        """From the description of the scene model in `folder` and the metrics beside it, if there are any."""
        config = scene_model.provenance.get("config")
        config = config if isinstance(config, dict) else {}
        stage = scene_model.provenance.get("stage")
        rows = _rows(folder / METRICS)
        loss = {row["epoch"]: row["train_loss"] for row in rows if row["stage"] == stage and "train_loss" in row}
        medians = {row["epoch"]: row["val_median_m"] for row in rows if row["stage"] == stage and "val_median_m" in row}
        counts = [len(scene.frames.places("train")) for scene in scene_model.scenes]
        return cls(
            frames=len(counts) * max(counts),  # an epoch has as many of each scene as the largest one has
            epochs=len({row["epoch"] for row in rows if "train_loss" in row}) or _whole(config.get("epochs")),
            batch_size=0 if scene_model.network.MEMORISES else _whole(config.get("batch_size")),
            loss=dict(sorted(loss.items())),
            validated_m=dict(sorted(medians.items())),
        )


def _rows(path: Path) -> list[dict[str, Any]]:
    """The lines with an epoch and a stage, and of their figures the finite numbers; a line cut off is passed over."""
    try:
        if path.stat().st_size > LARGEST_BYTES:
            return []
        lines = path.read_text(errors="replace").splitlines()
    except OSError:
        return []
    rows = []
    for line in lines:
        try:
            row = checked.parsed_json(line)
        except ValueError:
            continue
        if isinstance(row, dict) and _whole(row.get("epoch")) and isinstance(row.get("stage"), str):
            numbers = {key: value for key, value in row.items() if isinstance(value, (int, float))}
            rows.append({"stage": row["stage"], **{key: v for key, v in numbers.items() if math.isfinite(v)}})
    return rows


def _whole(value: object) -> int:
    """A positive whole number; 0 for anything else."""
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 < value < 10**9 else 0

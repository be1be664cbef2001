"""Metrics of a run in metrics.jsonl and TensorBoard; a resumed run appends to them."""

from __future__ import annotations

import json
from pathlib import Path

from torch.utils.tensorboard import SummaryWriter

from transposenet_core.evaluation.training_record import METRICS


class Curves:
    """One line of JSON and one TensorBoard event per set of figures; `epoch` counts over all stages."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._file = open(folder / METRICS, "a")  # noqa: SIM115 - it lives as long as the run
        self._board = SummaryWriter(str(folder / "tensorboard"))

    def write(self, epoch: int, stage: str, **figures: float) -> None:
        self._file.write(json.dumps({"epoch": epoch, "stage": stage, **figures}) + "\n")
        self._file.flush()
        for name, value in figures.items():
            self._board.add_scalar(name, value, epoch)

    def close(self) -> None:
        self._file.close()
        self._board.close()

"""Resume state in one safetensors file: tensors by name, the rest as JSON in its header. Nothing is unpickled."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import nn

from transposenet_core.atomic_files import write_atomically
from transposenet_core.errors import UserError
from transposenet_core.training.averaging import MovingAverage
from transposenet_core.training.config import TrainConfig

START = "start_from"  # the name under which a given scene model is validated before training


@dataclass
class Progress:
    """Where a run stands: the stage it is in, that stage's finished epochs, and the best validation score so far.

    ``best`` holds the validation results of each stage's best weights; ``epochs_before`` are the epochs of earlier
    stages, ``backbone`` is the origin of its first weights.
    """

    stage: int = 0
    epoch: int = 0
    epochs_before: int = 0
    best_score: float = float("inf")
    best: dict[str, dict[str, float]] = field(default_factory=dict)
    stages: list[str] = field(default_factory=list)
    backbone: str = ""


@dataclass(eq=False)
class State:
    """What changes during a stage."""

    network: nn.Module
    loss: nn.Module
    optimizer: torch.optim.Optimizer
    average: MovingAverage | None = None

    @property
    def validated(self) -> nn.Module:
        """The network that is validated and saved."""
        return self.network if self.average is None else self.average.network


def save_checkpoint(path: Path, state: State, progress: Progress, config: dict) -> None:
    """Write the whole state of a run; a crash or a full disk leaves the last one intact. UserError on a full disk."""
    tensors = {f"network.{key}": value for key, value in state.network.state_dict().items()}
    tensors |= {f"loss.{key}": value for key, value in state.loss.state_dict().items()}
    for index, moments in state.optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{index}.{key}": torch.as_tensor(value) for key, value in moments.items()}
    steps = 0
    if state.average is not None:
        tensors |= {f"average.{key}": value for key, value in state.average.network.state_dict().items()}
        steps = state.average.steps
    numbers = asdict(progress) | {"best_score": None if progress.best_score == float("inf") else progress.best_score}
    header = {"progress": numbers, "average_steps": steps, "config": config}
    contiguous = {key: value.detach().cpu().contiguous() for key, value in tensors.items()}
    try:
        with write_atomically(path) as temporary:
            save_file(contiguous, temporary, metadata={"state": json.dumps(header)})
    except SafetensorError as error:
        raise UserError(f"{path}: the checkpoint cannot be written ({error}); free disk space and --resume") from None


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """A loaded checkpoint: the progress of the run, its configuration and its tensors."""

    path: Path
    progress: Progress
    config: dict
    average_steps: int
    tensors: dict[str, torch.Tensor]

    @classmethod
    def read(cls, path: Path) -> Checkpoint:
        """UserError if the file is missing, damaged or of an older version."""
        try:
            with safe_open(path, framework="pt") as file:
                header = json.loads((file.metadata() or {})["state"])
                tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - it is no dict
            numbers = header["progress"]
            best = numbers["best_score"]
            progress = Progress(**(numbers | {"best_score": float("inf") if best is None else best}))
            return cls(path, progress, header["config"], header["average_steps"], tensors)
        except FileNotFoundError:
            raise UserError(f"{path}: there is no checkpoint to resume; start without --resume") from None
        except (OSError, SafetensorError, KeyError, TypeError, json.JSONDecodeError) as error:
            raise UserError(f"{path}: the checkpoint cannot be read ({error}); start again without --resume") from None

    def check(self, config: dict, override: bool) -> None:
        """UserError if the run was started with another configuration; with `override` print the changes instead."""
        changed = sorted(difference(_filled(self.config, TrainConfig().to_dict()), config))
        if changed and not override:
            raise UserError(
                f"{self.path}: the run was started with another configuration: {'; '.join(changed)}; "
                "use that configuration again, or add --override to continue with the new one"
            )
        for phrase in changed:
            print(f"--override: {phrase}", file=sys.stderr)

    def progress_in(self, stages: list[str], epochs: int) -> Progress:
        """The progress of the run, to continue with `stages`, the first of them with `epochs`.

        UserError if the stages that were started differ, or `epochs` changes after the first stage is finished.
        """
        progress = self.progress
        begun = progress.stages[: progress.stage + 1 + progress.stages.count(START)]
        if begun != stages[: len(begun)]:
            raise UserError(
                f"{self.path}: the run has started {', '.join(begun)}, but the configuration now has "
                f"{', '.join(stages)}; start a run in another --out, from this model with start_from={self.path.parent}"
            )
        if "all" in begun[:-1] and epochs != self.config["epochs"]:
            raise UserError(
                f"{self.path}: epochs was {self.config['epochs']}, is {epochs}, but stage 1 is finished; use the old "
                f"value, or start a run in another --out with start_from={self.path.parent}"
            )
        return replace(progress, stages=stages)

    def load_into(self, state: State) -> None:
        """Restore everything but the network. UserError if the configured run has other tensors."""
        try:
            state.loss.load_state_dict(_below(self.tensors, "loss."))
            _load_optimizer(state.optimizer, _below(self.tensors, "optimizer."))
            if state.average is not None:
                averaged = _below(self.tensors, "average.") or _below(self.tensors, "network.")
                state.average.network.load_state_dict(averaged)
                state.average.steps = self.average_steps
        except (RuntimeError, ValueError, IndexError) as error:
            raise self._other(error) from None

    def load_network(self, network: nn.Module) -> None:
        """Restore the network, before the loss, which may be built from it. UserError if its tensors differ."""
        try:
            network.load_state_dict(_below(self.tensors, "network."))
        except RuntimeError as error:
            raise self._other(error) from None

    def _other(self, error: Exception) -> UserError:
        reason = " ".join(str(error).split())[:200]
        return UserError(f"{self.path}: does not fit the configured network ({reason}); start a run in another --out")


def _below(tensors: dict[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    return {key[len(prefix) :]: value for key, value in tensors.items() if key.startswith(prefix)}


def _load_optimizer(optimizer: torch.optim.Optimizer, tensors: dict[str, torch.Tensor]) -> None:
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    whole = optimizer.state_dict()
    whole["state"] = {}
    for name, value in tensors.items():
        index, key = name.split(".", 1)
        parameter = parameters[int(index)]
        if value.shape == parameter.shape:
            # The fused step runs through memory in order, so moments need their parameter's (channels-last) layout.
            value = torch.empty_like(parameter).copy_(value)
        whole["state"].setdefault(int(index), {})[key] = value
    optimizer.load_state_dict(whole)


def _filled(config: dict, defaults: dict) -> dict:
    """A configuration from before some keys existed, with their defaults, which change nothing."""
    missing = {key: value for key, value in defaults.items() if key not in config}
    nested = {k: _filled(config[k], v) for k, v in defaults.items() if isinstance(v, dict) and k in config}
    return {**config, **missing, **nested}


def difference(old: dict, new: dict, prefix: str = "") -> list[str]:
    """One phrase per key whose value differs between two nested configurations."""
    phrases = []
    for key in sorted(old.keys() | new.keys()):
        a, b = old.get(key), new.get(key)
        if isinstance(a, dict) and isinstance(b, dict):
            phrases += difference(a, b, f"{prefix}{key}.")
        elif a != b:
            phrases.append(f"{prefix}{key} was {a}, is {b}")
    return phrases

"""Resume state in one safetensors file: tensors by name, the rest as JSON in its header. Nothing is unpickled."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import nn

from transposenet_core import checked
from transposenet_core.atomic_files import write_atomically
from transposenet_core.errors import UserError
from transposenet_core.scene_model.weights import stored, stored_network
from transposenet_core.tensor_header import TensorHeader, Wanted, below, compare
from transposenet_core.training.averaging import MovingAverage
from transposenet_core.training.config import TrainConfig

MOST_BYTES, MOST_STEPS, MOST_STAGES = 2**33, 10**12, 100
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
    """A checkpoint whose header was read: where the run stood, with which configuration, and which tensors it has.

    They are read when they are asked for, and only where their shapes are those of what they are to fill.
    """

    path: Path
    progress: Progress
    config: dict
    average_steps: int
    header: TensorHeader

    def __post_init__(self) -> None:
        object.__setattr__(self, "config", _filled(self.config, TrainConfig().to_dict()))

    @classmethod
    def read(cls, path: Path) -> Checkpoint:
        """UserError where the file is missing, broken, of an older version, or has a value out of bounds."""
        if not path.exists():
            raise UserError(f"{path}: there is no checkpoint to resume; start without --resume")
        header = TensorHeader.of(path, MOST_BYTES)
        try:
            state = checked.mapping("state", checked.parsed_json(header.metadata["state"]))
            progress = _progress(checked.mapping("progress", state["progress"]))
            steps = checked.whole("average_steps", state["average_steps"], 0, MOST_STEPS)
            found = cls(path, progress, checked.mapping("config", state["config"]), steps, header)
            checked.whole("batch_size", found.config["batch_size"], 1, MOST_STEPS)
            return found
        except (KeyError, TypeError, ValueError) as error:
            raise UserError(f"{path}: the checkpoint cannot be read ({error}); start again without --resume") from None

    def check(self, config: dict, override: bool) -> None:
        """UserError if the run was started with another configuration; with `override` print the changes instead."""
        changed = sorted(difference(self.config, config))
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
        state.loss.load_state_dict(self._tensors("loss.", stored(state.loss.state_dict())))
        moments = "optimizer."
        _load_optimizer(
            state.optimizer, self._tensors(moments, _moments(state.optimizer, below(self.header.tensors, moments)))
        )
        if state.average is not None:
            prefix = "average." if below(self.header.tensors, "average.") else "network."
            averaged = state.average.network
            averaged.load_state_dict(self._tensors(prefix, stored_network(averaged)))
            state.average.steps = self.average_steps

    def load_network(self, network: nn.Module) -> None:
        """Restore the network, before the loss, which may be built from it. UserError if its tensors differ."""
        network.load_state_dict(self._tensors("network.", stored_network(network)))

    def _tensors(self, prefix: str, wanted: dict[str, Wanted]) -> dict[str, torch.Tensor]:
        """Those whose names begin with `prefix`, without it. UserError where they are not the `wanted` ones."""
        try:
            compare(below(self.header.tensors, prefix), wanted)
            with safe_open(self.path, framework="pt") as file:
                return {name: file.get_tensor(prefix + name) for name in wanted}
        except (OSError, ValueError, SafetensorError) as error:
            reason = " ".join(str(error).split())[:200]
            raise UserError(f"{self.path}: not of the configured network ({reason}); start a new --out") from None


def _progress(numbers: dict) -> Progress:
    """KeyError, TypeError or ValueError where one is missing, unknown or out of bounds."""
    for name in ("stage", "epoch", "epochs_before"):
        checked.whole(name, numbers[name], 0, MOST_STEPS)
    stages = checked.sequence("stages", numbers["stages"], 1, MOST_STAGES)
    checked.whole("stage", numbers["stage"], 0, len(stages) - 1)
    for name in (*stages, numbers["backbone"], *checked.mapping("best", numbers["best"])):
        checked.text("a stage's name", name)
    for reached in numbers["best"].values():
        for figure in ("epoch", "m", "deg"):
            checked.number(figure, checked.mapping("best", reached)[figure], high=sys.float_info.max)
    best = numbers["best_score"]
    score = float("inf") if best is None else checked.number("best_score", best, high=sys.float_info.max)
    return Progress(**(numbers | {"best_score": score}))


def _moments(optimizer: torch.optim.Optimizer, found: Iterable[str]) -> dict[str, Wanted]:
    """The state of those parameters of Adam whose numbers are among the names `found`."""
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    numbers = {name.partition(".")[0] for name in found}
    wanted: dict[str, Wanted] = {}
    for number, parameter in enumerate(parameters):
        if str(number) in numbers:
            shape = Wanted(("F32",), tuple(parameter.shape))
            wanted |= {f"{number}.exp_avg": shape, f"{number}.exp_avg_sq": shape}
            wanted[f"{number}.step"] = Wanted(("F32",), ())
    return wanted


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
    groups = {k: v for k, v in defaults.items() if isinstance(v, dict) and isinstance(config.get(k), dict)}
    nested = {k: _filled(config[k], v) for k, v in groups.items()}
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

"""Resume state in one safetensors file: tensors by name, the rest as JSON in its header. Nothing is unpickled."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import nn

from transposenet_core.atomic_files import write_atomically
from transposenet_core.errors import UserError


@dataclass
class Progress:
    """Where a run stands: finished epochs, and the best validation score so far (lower is better)."""

    epoch: int = 0
    best_score: float = float("inf")


def save_checkpoint(
    path: Path, network: nn.Module, loss: nn.Module, optimizer: torch.optim.Optimizer, progress: Progress, config: dict
) -> None:
    tensors = {f"network.{key}": value for key, value in network.state_dict().items()}
    tensors |= {f"loss.{key}": value for key, value in loss.state_dict().items()}
    for index, state in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{index}.{key}": torch.as_tensor(value) for key, value in state.items()}
    tensors["random.cpu"] = torch.get_rng_state()
    if torch.cuda.is_available():
        tensors["random.cuda"] = torch.cuda.get_rng_state()
    best = None if progress.best_score == float("inf") else progress.best_score
    state = {"epoch": progress.epoch, "best_score": best, "config": config}
    with write_atomically(path) as temporary:
        contiguous = {key: value.detach().cpu().contiguous() for key, value in tensors.items()}
        save_file(contiguous, temporary, metadata={"state": json.dumps(state)})


def load_checkpoint(
    path: Path, network: nn.Module, loss: nn.Module, optimizer: torch.optim.Optimizer, config: dict
) -> Progress:
    """Put a run back where it stood. UserError where the file is missing, broken, or of another configuration."""
    try:
        with safe_open(path, framework="pt") as file:
            state = json.loads((file.metadata() or {})["state"])
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - it is no dict
    except FileNotFoundError:
        raise UserError(f"{path}: there is no checkpoint to resume; start without --resume") from None
    except (OSError, SafetensorError, KeyError, json.JSONDecodeError) as error:
        raise UserError(f"{path}: the checkpoint cannot be read ({error}); start again without --resume") from None
    changed = sorted(difference(state["config"], config))
    if changed:
        raise UserError(f"{path}: the run was started with another configuration: {'; '.join(changed)}")
    network.load_state_dict(_below(tensors, "network."))
    loss.load_state_dict(_below(tensors, "loss."))
    _load_optimizer(optimizer, _below(tensors, "optimizer."))
    torch.set_rng_state(tensors["random.cpu"])
    if "random.cuda" in tensors and torch.cuda.is_available():
        torch.cuda.set_rng_state(tensors["random.cuda"])
    best = state["best_score"]
    return Progress(state["epoch"], float("inf") if best is None else best)


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
            # The fused step walks through memory in order, so moments need their parameter's (channels-last) layout.
            value = torch.empty_like(parameter).copy_(value)
        whole["state"].setdefault(int(index), {})[key] = value
    optimizer.load_state_dict(whole)


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

"""Checkpoints that are damaged or of another run: refused by their header, before tensors are read."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
import torch
from small_models import small_model

from transposenet_core.errors import UserError
from transposenet_core.training.checkpoint import Checkpoint, Progress, State, save_checkpoint
from transposenet_core.training.config_reading import load_config
from transposenet_core.training.losses.registry import LOSSES
from transposenet_core.training.optimization import build_optimizer
from transposenet_core.training.stages import plan

CONFIG = load_config(None, ["epochs=3"])


def make_state(model: str = "retrieval", **options: Any) -> State:
    network, _ = small_model(model, **options)
    network.learnt = torch.nn.Parameter(torch.ones(4, 3))
    loss = LOSSES["pose"](CONFIG.loss, network)
    state = State(network, loss, build_optimizer(network, loss, plan(CONFIG)[0], CONFIG.optimizer, torch.device("cpu")))
    network.learnt.grad = torch.ones_like(network.learnt)
    state.optimizer.step()
    return state


@pytest.fixture
def path(tmp_path: Path) -> Path:
    progress = Progress(0, 2, 0, 0.5, {"all": {"epoch": 1, "m": 0.5, "deg": 9.0}}, ["all"], "from scratch")
    save_checkpoint(tmp_path / "checkpoint.safetensors", make_state(), progress, CONFIG.to_dict())
    return tmp_path / "checkpoint.safetensors"


def rewrite(path: Path, *keys: str, value: object) -> None:
    """Another value in the JSON text that the header holds."""
    data = path.read_bytes()
    end = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:end])
    state = place = json.loads(header["__metadata__"]["state"])
    for key in keys[:-1]:
        place = place[key]
    place[keys[-1]] = value
    header["__metadata__"]["state"] = json.dumps(state)
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + data[end:])


def test_t06_a_checkpoint_is_read_back_to_the_bit(path: Path) -> None:
    made, state = make_state(), make_state()
    with torch.no_grad():
        state.network.learnt.mul_(2)
    checkpoint = Checkpoint.read(path)
    assert checkpoint.progress.epoch == 2 and checkpoint.progress_in(["all"], 3).best_score == 0.5
    checkpoint.load_network(state.network)
    checkpoint.load_into(state)
    assert torch.equal(state.network.learnt, made.network.learnt)
    moments = [next(iter(each.optimizer.state.values()))["exp_avg"] for each in (state, made)]
    assert torch.equal(*moments)


@pytest.mark.parametrize(
    ("keys", "value", "sentence"),
    [
        (("progress", "epoch"), -1, "epoch is -1, a whole number from 0"),
        (("progress", "epoch"), "2", "epoch is 2, a whole number from 0"),
        (("progress", "stage"), 1, "stage is 1, a whole number from 0 to 0"),
        (("progress", "stages"), [], "stages is of 0 entries"),
        (("progress", "best"), {"all": {"epoch": 1}}, "m"),
        (("progress", "best_score"), float("nan"), "best_score is nan"),
        (("progress", "more"), 1, "unexpected keyword argument 'more'"),
        (("average_steps",), 1e9, "average_steps is 1000000000.0, a whole number"),
        (("config",), [], "config is .., a JSON object"),
        (("config", "batch_size"), 10**400, "batch_size is 1000"),
    ],
)
def test_t19_a_value_out_of_bounds_is_named(path: Path, keys: tuple[str, ...], value: object, sentence: str) -> None:
    rewrite(path, *keys, value=value)
    with pytest.raises(UserError, match=f"the checkpoint cannot be read .*{sentence}"):
        Checkpoint.read(path)


def test_t19_tensors_of_another_run_are_refused_by_the_header(path: Path) -> None:
    checkpoint, other = Checkpoint.read(path), make_state()
    other.network.learnt = torch.nn.Parameter(torch.ones(4, 4))
    with pytest.raises(UserError, match=r"not of the configured network .tensor learnt is F32 .4, 3., F32 or"):
        checkpoint.load_network(other.network)
    optimizer = torch.optim.Adam([torch.nn.Parameter(torch.ones(5))])
    with pytest.raises(UserError, match="tensor 0.exp_avg is F32"):
        checkpoint.load_into(State(other.network, other.loss, optimizer))
    os.truncate(path, 2**33 + 1)  # holes take no disk
    with pytest.raises(UserError, match="8589934593 bytes, at most 8589934592 are allowed"):
        Checkpoint.read(path)

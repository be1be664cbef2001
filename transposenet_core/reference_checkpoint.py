"""Checkpoints of the papers' public reference implementations, turned into our networks: names and shapes, no code.

Everything about such a network shows in its tensors' shapes but the number of attention heads, which has to be said.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from transposenet_core.checkpoint_import import Tensors, fill, listed, misfits, named_tensors
from transposenet_core.errors import UserError
from transposenet_core.models import build_model
from transposenet_core.models.backbone import map_size

HEADS = 8  # what the reference runs: its configurations ask for 4 under a key that its code does not read
IMAGE_SIZE = (224, 224)  # the window it cuts out of pictures whose smaller edge is 256
BACKBONE = "backbone.0.body."
LEVELS = {40: 3, 112: 4}  # channels of EfficientNet-B0's maps -> reduction level
BRANCHES = {"t": "position", "rot": "orientation"}
# Names of a Transformer layer: PyTorch's and ours (the packed projections are another matter).
ENCODER_LAYER = {
    "self_attn.out_proj": "out",
    "linear1": "mlp.0",
    "linear2": "mlp.3",
    "norm1": "norm_attention",
    "norm2": "norm_mlp",
}


@dataclass(frozen=True, eq=False)
class Conversion:
    """A network in evaluation mode with a checkpoint's weights; the model and options that build it again; how many of
    the checkpoint's numbers nothing reads; the file's name and sha256."""

    architecture: str
    options: dict
    network: nn.Module
    unused: int
    origin: str


def convert(path: str | Path, heads: int = HEADS) -> Conversion:
    """Read a checkpoint (.pth, .pt, .safetensors) of a reference implementation, for tensors alone.

    UserError, in one sentence, where it is no such file, or a tensor is missing, left over, not finite or misshapen.
    """
    path = Path(path)
    data = path.read_bytes()
    found = {key.removeprefix("module."): value for key, value in named_tensors(path, data).items()}
    body = {key.removeprefix(BACKBONE): value for key, value in found.items() if key.startswith(BACKBONE)}
    left = {key: value for key, value in found.items() if not key.startswith(BACKBONE)}
    layout = next((read for marker, read in LAYOUTS.items() if marker in left), None)
    if not layout:
        raise UserError(
            f"{path}: no checkpoint of a reference implementation, for it has neither {' nor '.join(LAYOUTS)} (first "
            f"tensors: {', '.join(list(found)[:3]) or 'none'}); a scene model of ours needs no conversion"
        )
    try:
        architecture, options, ours = layout(left)
        network: Any = build_model(architecture, heads=heads, **options)
    except KeyError as missing:
        raise UserError(f"{path}: {missing.args[0]} is missing; save the network's whole state_dict()") from None
    except (ValueError, TypeError, IndexError, RuntimeError) as error:
        raise UserError(f"{path}: makes no network of ours ({' '.join(str(error).split())[:150]})") from None
    own = {key: value for key, value in network.state_dict().items() if not key.startswith("backbone.")}
    if faults := [*misfits(own, ours), *(f"{key} is too many" for key in left)]:
        raise UserError(f"{path}: its tensors make no {architecture}: {listed(faults)}")
    fill(network.backbone, "efficientnet-b0", body, path)
    network.load_state_dict(network.state_dict() | ours)
    used = sum(value.numel() for value in network.state_dict().values())
    unused = sum(value.numel() for value in found.values()) - used
    origin = f"{path.name} sha256 {hashlib.sha256(data).hexdigest()}"
    return Conversion(architecture, options | {"heads": heads}, network.eval(), unused, origin)


def _transposenet(left: Tensors) -> tuple[str, dict, Tensors]:
    """The model, its options, and the tensors that are taken out of `left`, by our names."""
    options = _common_options(left) | {
        "layers": _count(left, "transformer_t.encoder.layers."),
        "orientation_prior": "regressor_head_rot.fc_h_prior.weight" in left,
    }
    ours: Tensors = {}
    for theirs, branch in BRANCHES.items():
        ours |= _encoder(left, f"transformer_{theirs}.encoder.", f"{branch}_encoder.", "layers.")
        ours |= _moved(left, f"input_proj_{theirs}.", f"{branch}_encoder.project.")
        ours |= {f"{branch}_encoder.token": left.pop(f"pose_token_embed_{theirs}")[None]}
        ours |= _head(left, f"regressor_head_{theirs}.", f"{branch}_head.")
    if options["orientation_prior"]:  # theirs sees the position's latent first, ours the orientation's
        weight = ours["orientation_head.0.weight"]
        ours["orientation_head.0.weight"] = torch.cat(weight.chunk(2, dim=1)[::-1], dim=1)
    # One pair of tables for both maps, and for the token one entry in either direction.
    token = left.pop("backbone.1.pose_token_embed.weight")[:1]
    cells = slice(1, None)
    return "transposenet", options, ours | _position_tables(left, options, token, cells, "encoder")


def _common_options(left: Tensors) -> dict:
    options: dict = {"image_size": list(IMAGE_SIZE)}
    for theirs, branch in BRANCHES.items():
        channels = left[f"input_proj_{theirs}.weight"].shape[1]
        if channels not in LEVELS:
            raise ValueError(
                f"input_proj_{theirs} takes {channels} channels, {' or '.join(map(str, LEVELS))} are known"
            )
        options[f"{branch}_level"] = LEVELS[channels]
    options["width"] = len(left["input_proj_t.weight"])
    options["mlp_width"] = len(left["transformer_t.encoder.layers.0.linear1.weight"])
    options["head_width"] = len(left["regressor_head_t.fc_h.weight"])
    return options


def _count(left: Tensors, prefix: str) -> int:
    return len({key.removeprefix(prefix).partition(".")[0] for key in left if key.startswith(prefix)})


def _encoder(left: Tensors, theirs: str, ours: str, layers: str) -> Tensors:
    """An encoder's layers and its last norm."""
    moved = _moved(left, f"{theirs}norm.", f"{ours}norm.")
    for number in range(_count(left, f"{theirs}layers.")):
        from_, to = f"{theirs}layers.{number}.", f"{ours}{layers}{number}."
        for name, our in ENCODER_LAYER.items():
            moved |= _moved(left, f"{from_}{name}.", f"{to}{our}.")
        for part in ("weight", "bias"):
            query, key, value = left.pop(f"{from_}self_attn.in_proj_{part}").chunk(3)
            moved |= {f"{to}query_key.{part}": torch.cat((query, key)), f"{to}value.{part}": value}
    return moved


def _head(left: Tensors, theirs: str, ours: str) -> Tensors:
    """A head's two layers; of two first layers the one that sees the other branch's latent as well is in use."""
    hidden = _moved(left, f"{theirs}fc_h.", f"{ours}0.")
    if f"{theirs}fc_h_prior.weight" in left:
        hidden = _moved(left, f"{theirs}fc_h_prior.", f"{ours}0.")
    return hidden | _moved(left, f"{theirs}fc_o.", f"{ours}2.")


def _position_tables(left: Tensors, options: dict, token: torch.Tensor, cells: slice, module: str) -> Tensors:
    tables: Tensors = {}
    for axis, name in enumerate(("row", "col")):
        table = torch.cat((token, left.pop(f"backbone.1.{name}_embed.weight")[cells]))
        our = ("rows", "columns")[axis]
        for branch in BRANCHES.values():
            length = map_size(IMAGE_SIZE, options[f"{branch}_level"])[axis]
            tables[f"{branch}_{module}.position.{our}"] = table[: length + 1]
    return tables


def _moved(left: Tensors, theirs: str, ours: str) -> Tensors:
    """Weight and bias, taken out of what is left."""
    return {ours + part: left.pop(theirs + part) for part in ("weight", "bias")}


LAYOUTS: dict[str, Callable[[Tensors], tuple[str, dict, Tensors]]] = {"pose_token_embed_t": _transposenet}

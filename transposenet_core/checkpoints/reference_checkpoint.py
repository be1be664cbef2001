"""Checkpoints of the papers' public reference implementations, converted to our networks: names and shapes, no code.

The tensors' shapes determine the whole network except for the number of attention heads, which must be given.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from transposenet_core.checkpoints.importing import fill, listed, misfits, named_tensors
from transposenet_core.checkpoints.reference_layouts import LAYOUTS
from transposenet_core.errors import UserError
from transposenet_core.file_hash import sha256_of
from transposenet_core.models import build_model

HEADS = 8  # what the reference runs: its configurations ask for 4 under a key that its code does not read
BACKBONE = "backbone.0.body."


@dataclass(frozen=True, eq=False)
class Conversion:
    """A network in evaluation mode with a checkpoint's weights; the model and options that build it again; how many of
    the checkpoint's numbers are not used; the file's name and sha256."""

    architecture: str
    options: dict
    network: nn.Module
    unused: int
    origin: str


def convert(path: str | Path, heads: int = HEADS) -> Conversion:
    """Read a checkpoint (.pth, .pt, .safetensors) of a reference implementation, only tensors.

    UserError, in one sentence, where it is not such a file, or a tensor is missing, left over, not finite or misshapen.
    """
    path = Path(path)
    found = {key.removeprefix("module."): value for key, value in named_tensors(path).items()}
    body = {key.removeprefix(BACKBONE): value for key, value in found.items() if key.startswith(BACKBONE)}
    left = {key: value for key, value in found.items() if not key.startswith(BACKBONE)}
    layout = next((read for marker, read in LAYOUTS.items() if marker in left), None)
    if not layout:
        raise UserError(
            f"{path}: not a checkpoint of a reference implementation: it has neither {' nor '.join(LAYOUTS)} (first "
            f"tensors: {', '.join(list(found)[:3]) or 'none'}); a scene model of ours needs no conversion"
        )
    try:
        architecture, options, ours = layout(left)
        network: Any = build_model(architecture, heads=heads, **options)
    except KeyError as missing:
        raise UserError(f"{path}: {missing.args[0]} is missing; save the network's whole state_dict()") from None
    except (ValueError, TypeError, IndexError, RuntimeError) as error:
        raise UserError(f"{path}: does not match our networks ({' '.join(str(error).split())[:150]})") from None
    own = {key: value for key, value in network.state_dict().items() if not key.startswith("backbone.")}
    if faults := [*misfits(own, ours), *(f"{key} is not expected" for key in left)]:
        raise UserError(f"{path}: its tensors are not a {architecture}: {listed(faults)}")
    fill(network.backbone, "efficientnet-b0", body, path)
    network.load_state_dict(network.state_dict() | ours)
    used = sum(value.numel() for value in network.state_dict().values())
    unused = sum(value.numel() for value in found.values()) - used
    origin = f"{path.name} sha256 {sha256_of(path)}"
    return Conversion(architecture, options | {"heads": heads}, network.eval(), unused, origin)

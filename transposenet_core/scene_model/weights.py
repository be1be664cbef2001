"""The weights file of a scene model: nothing of it is read before its header is what the description promises.

The network is made on torch's meta device, where tensors have shapes and no memory. So a description that asks for
another network, or a file that holds other tensors, is refused before either costs anything.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from torch.overrides import TorchFunctionMode

from transposenet_core.errors import UserError
from transposenet_core.models import build_model
from transposenet_core.preprocessing import Preprocessing
from transposenet_core.scene_model.known_frames import TEST_NAMES, KnownFrames
from transposenet_core.scene_model.parity import Parity
from transposenet_core.tensor_header import Tensor, Wanted, compare

WEIGHTS = "model.safetensors"
MODEL_PREFIX, FRAMES_PREFIX, PARITY_PREFIX = "model.", "frames.{}.", "parity."
MOST_BYTES = 2**31  # a memory of 200 000 thumbnails; other networks have a tenth of it

# torch's types in a file; of float32 it may hold half the digits.
STORED: dict[torch.dtype, tuple[str, ...]] = {
    torch.float32: ("F32", "F16"),
    torch.float64: ("F64",),
    torch.int64: ("I64",),
    torch.uint8: ("U8",),
    torch.bool: ("BOOL",),
}

Tensors = dict[str, torch.Tensor]


def stored(state: Tensors) -> dict[str, Wanted]:
    """The tensors of a file that such a state is loaded from, by name."""
    return {name: Wanted(STORED[value.dtype], tuple(value.shape)) for name, value in state.items()}


def stored_network(network: Any) -> dict[str, Wanted]:
    """The same of a `PoseModel`."""
    fixed = stored(network.state_dict())
    return fixed | {name: fixed[name]._replace(shape=shape) for name, shape in network.open_shapes().items()}


class _Unfilled(TorchFunctionMode):
    """Nobody reads the first weights of a network without memory; to draw them torch would import a compiler, which
    takes two seconds."""

    def __torch_function__(self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        if func is torch.Tensor.normal_:
            return args[0]
        return (torch.empty if func is torch.randn else func)(*args, **(kwargs or {}))


def without_memory(architecture: str, options: dict) -> Any:
    """The network on torch's meta device: its tensors have shapes and types and nothing else."""
    with torch.device("meta"), _Unfilled():
        return build_model(architecture, **options)


def check_header(
    found: Mapping[str, Tensor],
    architecture: str,
    options: dict,
    preprocessing: Preprocessing,
    counts: list[dict[str, int]],
) -> None:
    """ValueError or UserError where the tensors of a file are not those of the network that is described, its scenes'
    frames, of which `counts` says how many there are, and its parity inputs, which may be missing."""
    network = without_memory(architecture, options)
    if network.scenes != len(counts):
        raise ValueError(f"{len(counts)} scenes are described, the network is for {network.scenes}")
    if network.image_size != preprocessing.image_size:
        raise ValueError(f"images are cut to {preprocessing.image_size}, the network is for {network.image_size}")
    wanted = {MODEL_PREFIX + name: each for name, each in stored_network(network).items()}
    for number, count in enumerate(sum(each.values()) for each in counts):
        prefix = FRAMES_PREFIX.format(number)
        frames = KnownFrames.shapes(count, prefix + TEST_NAMES in found)
        wanted |= {prefix + name: each for name, each in frames.items()}
    if any(name.startswith(PARITY_PREFIX) for name in found):
        wanted |= {PARITY_PREFIX + name: each for name, each in Parity.shapes(*preprocessing.image_size).items()}
    compare(found, wanted)


def read_weights(path: Path, sha256: object) -> Tensors:
    """All tensors of the file whose header was found good. UserError where its hash is not `sha256`."""
    try:
        data = path.read_bytes()
        if hashlib.sha256(data).hexdigest() != sha256:
            raise UserError(
                f"{path}: {len(data)} bytes whose hash is not the one in the description, the file is damaged or of "
                "another model; copy the whole folder again"
            )
        return load_tensors(data)
    except (OSError, SafetensorError) as error:
        raise UserError(f"{path}: the weights cannot be read ({error}); copy the scene model again") from None

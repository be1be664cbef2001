"""Backbone weights from elsewhere: the one module that reads PyTorch's pickled files, and only tensors from them."""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load as load_safetensors

from transposenet_core.checkpoints.published_weights import published_weights
from transposenet_core.errors import UserError
from transposenet_core.models import default_options
from transposenet_core.models.backbone import Backbone
from transposenet_core.scene_model import WEIGHTS, SceneModel

SUFFIXES = (".pth", ".pt", ".safetensors")
# What training programs put before a network's own names: DistributedDataParallel, Lightning, our scene models.
WRAPPERS = re.compile(r"^((module|model|backbone)\.)+")
# Blocks in each part of a public network, to name it when it is not the requested one.
NETWORKS = {
    (16,): "efficientnet-b0",
    (23,): "efficientnet-b1 or -b2",
    (26,): "efficientnet-b3",
    (32,): "efficientnet-b4",
    (39,): "efficientnet-b5",
    (45,): "efficientnet-b6",
    (55,): "efficientnet-b7",
    (2, 2, 2, 2): "resnet18",
    (3, 4, 6, 3): "resnet34 or a variant of resnet50",
    (3, 4, 23, 3): "resnet101",
    (3, 8, 36, 3): "resnet152",
}

Tensors = dict[str, torch.Tensor]


def load_pretrained_backbone(backbone: Backbone, name: str, weights: str) -> str:
    """Fill `backbone`, which ``build_backbone(name, ...)`` made, in place; returns the file's name and sha256.

    `weights` is ``none``, ``imagenet`` (the publisher's file, see ``published_weights``), a file (.pth, .pt,
    .safetensors) or the folder of a scene model. Names of the published networks and our own are accepted; what
    lies beyond the cut is ignored. UserError where weights are missing, unreadable or do not fit; the
    backbone is then unchanged.
    """
    if weights == "none":
        return "none (from scratch)"
    path = published_weights(name) if weights == "imagenet" else Path(weights).expanduser()
    if path.is_dir():
        found = _of_scene_model(path, name)
        path, origin = path / WEIGHTS, f"{path.resolve().name}/{WEIGHTS}"
        data = _read(path)
    else:
        data, origin = _read(path), path.name
        found = _tensors(path, data)
    fill(backbone, name, found, path)
    return f"{origin} sha256 {hashlib.sha256(data).hexdigest()}"


def _of_scene_model(folder: Path, name: str) -> Tensors:
    model = SceneModel.load(folder)
    theirs = {**default_options(model.architecture), **model.options}.get("backbone")
    if theirs != name:
        raise UserError(f"{folder}: the backbone of this scene model is {theirs}, but {name} is needed")
    network: Any = model.network
    return network.backbone.state_dict()


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UserError(
            f"backbone.weights: {path} cannot be read ({error.strerror}); allowed are imagenet, none, a file "
            f"({', '.join(SUFFIXES)}) and the folder of a scene model"
        ) from None


def _tensors(path: Path, data: bytes) -> Tensors:
    """The named tensors of a file, without what is wrapped around them."""
    return {WRAPPERS.sub("", key): value for key, value in named_tensors(path, data).items()}


def named_tensors(path: Path, data: bytes) -> Tensors:
    """The named tensors of `data`, which is what the file at `path` holds: bare, or under ``state_dict`` or ``model``.

    UserError where its suffix is not in SUFFIXES, or it is damaged, or contains anything that would run code if read.
    """
    if path.suffix not in SUFFIXES:
        raise UserError(f"{path} does not end in {', '.join(SUFFIXES)}; give such a file of weights")
    try:
        content = load_safetensors(data) if path.suffix == ".safetensors" else _unpickled(data)
    except Exception as error:  # noqa: BLE001 - a damaged file raises whatever its bytes happen to lead to
        raise UserError(f"{path}: {_why_unreadable(path, data, error)}") from None
    for key in ("state_dict", "model"):
        if isinstance(content, dict) and isinstance(content.get(key), dict):
            content = content[key]
    if not isinstance(content, dict):
        raise UserError(f"{path}: one {type(content).__name__} instead of named tensors; save a state_dict() in it")
    return {str(key): value for key, value in content.items() if isinstance(value, torch.Tensor)}


def _unpickled(data: bytes) -> object:
    return torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)


def _why_unreadable(path: Path, data: bytes, error: Exception) -> str:
    reason = " ".join(str(error).split())
    if foreign := re.search(r"GLOBAL ([\w.]+)", reason):
        return (
            f"refused: it holds {foreign[1]} where only tensors are allowed, and reading such objects runs code; "
            "save the network's state_dict() alone, or a .safetensors file"
        )
    # torch adds advice to its finding, which does not apply here.
    finding = re.split(r"\. | Check ", reason.rpartition("error: ")[2])[0][:100]
    return (
        f"{len(data)} bytes that are not a complete {path.suffix} file of tensors ({type(error).__name__}: {finding}); "
        "copy or download it again"
    )


def fill(backbone: Backbone, name: str, found: Tensors, path: Path) -> None:
    """Put the tensors found, by published names or ours, into `backbone`; what lies beyond its cut is ignored.

    UserError, which names `path`, where they do not fit; the backbone is then unchanged.
    """
    own = backbone.state_dict()
    renamed = {_our_name(key, backbone.PUBLISHED_NAMES): value for key, value in found.items()}
    # Beyond the cut anything may follow; inside a stage of ours, one more tensor means a deeper network.
    parts = {_part(key) for key in own}
    more = [f"{key} is not expected" for key in renamed if key not in own and _part(key) in parts]
    if faults := [*misfits(own, renamed), *more]:
        text = listed(faults)
        raise UserError(f"{path}: not weights of {name}: {text}; it seems to hold {_what_it_holds(found)}")
    backbone.load_state_dict(own | {key: renamed[key] for key in own if key in renamed})


def _our_name(key: str, published: dict[str, str]) -> str:
    part, dot, rest = key.partition(".")
    return published.get(part, part) + dot + rest


def listed(faults: list[str]) -> str:
    """The first three, and how many more there are."""
    return ", ".join(faults[:3]) + (f" and {len(faults) - 3} more" if len(faults) > 3 else "")


def misfits(own: Tensors, found: Tensors) -> Iterator[str]:
    """Why the tensors found do not fill our network, in its order."""
    for key, value in own.items():
        if key not in found:
            # A counter that old files lack; it starts at 0, and no backbone reads it.
            if not key.endswith("num_batches_tracked"):
                yield f"{key} is missing"
        elif found[key].shape != value.shape:
            yield f"{key} is {tuple(found[key].shape)} instead of {tuple(value.shape)}"
        elif not torch.isfinite(found[key]).all():
            yield f"{key} is not finite"


def _part(key: str) -> str:
    return ".".join(key.split(".")[:2])


def _what_it_holds(found: Tensors) -> str:
    blocks: dict[str, set[str]] = {}
    for key in found:
        if match := re.match(r"(_?blocks|layer\d|stages)\.(\d+)\.", key):
            blocks.setdefault(match[1], set()).add(match[2])
    depths = tuple(len(blocks[part]) for part in sorted(blocks))
    if "_blocks" in blocks or "layer1" in blocks:
        return NETWORKS.get(depths, f"a network of {'+'.join(map(str, depths))} blocks")
    if blocks:
        return f"a backbone of ours with {depths[0]} {next(iter(blocks))}"
    return f"no known network (first tensors: {', '.join(list(found)[:3]) or 'none'})"

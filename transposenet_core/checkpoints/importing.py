"""Backbone weights from elsewhere: the one module that reads PyTorch's pickled files, and only tensors from them."""

from __future__ import annotations

import os
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open

from transposenet_core.checkpoints.published_weights import published_weights
from transposenet_core.errors import UserError
from transposenet_core.file_hash import sha256_of
from transposenet_core.models import default_options
from transposenet_core.models.backbone import Backbone
from transposenet_core.scene_model import WEIGHTS, SceneModel
from transposenet_core.tensor_header import TensorHeader

SUFFIXES = (".pth", ".pt", ".safetensors")
MOST_BYTES = 2**29  # the largest network whose weights are known here has half of it
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
        found, sha256 = _of_scene_model(path, name)
        path, origin = path / WEIGHTS, f"{path.resolve().name}/{WEIGHTS}"
    else:
        origin, sha256 = path.name, ""
        try:
            found = {WRAPPERS.sub("", key): value for key, value in named_tensors(path).items()}
        except OSError as error:
            raise UserError(
                f"backbone.weights: {path} cannot be read ({error.strerror}); allowed are imagenet, none, a file "
                f"({', '.join(SUFFIXES)}) and the folder of a scene model"
            ) from None
    fill(backbone, name, found, path)
    return f"{origin} sha256 {sha256 or sha256_of(path)}"


def _of_scene_model(folder: Path, name: str) -> tuple[Tensors, str]:
    """Its backbone's tensors, and the hash of its weights, which loading verified."""
    model = SceneModel.load(folder)
    theirs = {**default_options(model.architecture), **model.options}.get("backbone")
    if theirs != name:
        raise UserError(f"{folder}: the backbone of this scene model is {theirs}, but {name} is needed")
    network: Any = model.network
    return network.backbone.state_dict(), model.weights_sha256


def named_tensors(path: Path) -> Tensors:
    """The named tensors of a file: bare, or under ``state_dict`` or ``model``. They stay in the file where its layout
    allows that, so that one which fits nothing costs no memory.

    OSError where the file cannot be opened; UserError where it is larger than MOST_BYTES, its ending is none of
    SUFFIXES, or it is damaged, or holds what reading would have to run or what needs more memory than the file.
    """
    if path.suffix not in SUFFIXES:
        raise UserError(f"{path} does not end in {', '.join(SUFFIXES)}; give such a file of weights")
    with open(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size
    if size > MOST_BYTES:
        raise UserError(f"{path}: {size} bytes, weights of at most {MOST_BYTES} are read; save a state_dict() alone")
    try:
        content = _mapped(path) if path.suffix == ".safetensors" else _unpickled(path)
    except Exception as error:  # noqa: BLE001 - a damaged file raises whatever its bytes happen to lead to
        raise UserError(f"{path}: {_why_unreadable(path, size, error)}") from None
    for key in ("state_dict", "model"):
        if isinstance(content, dict) and isinstance(content.get(key), dict):
            content = content[key]
    if not isinstance(content, dict):
        raise UserError(f"{path}: one {type(content).__name__} instead of named tensors; save a state_dict() in it")
    found = {str(key): value for key, value in content.items() if isinstance(value, torch.Tensor)}
    _check_sizes(path, size, found)
    return found


def _mapped(path: Path) -> Tensors:
    with open(path, "rb") as file:
        TensorHeader.read(file, path.stat().st_size, MOST_BYTES)
    with safe_open(path, framework="pt") as tensors:
        return {name: tensors.get_tensor(name) for name in tensors.keys()}  # noqa: SIM118 - it is no dict


def _unpickled(path: Path) -> object:
    """The content of a file of PyTorch. Since 2020 it is an archive, whose entries PyTorch does not compress: those of
    others might become a thousand times as large, and could not be left in the file."""
    is_archive = zipfile.is_zipfile(path)
    if is_archive:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
        if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
            raise ValueError("an archive with compressed entries")
    return torch.load(path, map_location="cpu", weights_only=True, mmap=is_archive)


def _check_sizes(path: Path, size: int, found: Tensors) -> None:
    """UserError where the tensors are none of plain numbers, or name the same bytes so often that copies of them would
    be much larger than the file."""
    plain = [value for value in found.values() if value.layout is torch.strided and value.device.type == "cpu"]
    total = sum(value.numel() * value.element_size() for value in plain)
    if len(plain) < len(found) or total > 2 * size:
        raise UserError(
            f"{path}: {len(found)} tensors of {total} bytes in a file of {size}, some of which are no plain numbers or "
            "share their bytes; save a state_dict() of plain tensors"
        )


def _why_unreadable(path: Path, size: int, error: Exception) -> str:
    reason = " ".join(str(error).split())
    if foreign := re.search(r"GLOBAL ([\w.]+)", reason):
        return (
            f"refused: it holds {foreign[1]} where only tensors are allowed, and reading such objects runs code; "
            "save the network's state_dict() alone, or a .safetensors file"
        )
    # torch adds advice to its finding, which does not apply here.
    finding = re.split(r"\. | Check ", reason.rpartition("error: ")[2])[0][:100]
    return (
        f"{size} bytes that are not a complete {path.suffix} file of tensors ({type(error).__name__}: {finding}); "
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

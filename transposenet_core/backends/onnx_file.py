"""The convertible part of a network as an ONNX file, made once and kept beside the scene model.

The file's name has a hash of everything that it depends on. It is written under another name and renamed, and its own
hash stands in a second file, keyed with a number that only this user's cache has: a file that is cut short, damaged, or
came with a scene model from elsewhere is made anew, and no runtime reads it.
"""

from __future__ import annotations

import copy
import hashlib
import hmac
import json
import os
import secrets
import tempfile
import time
import warnings
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.onnx import OnnxExporterError

from transposenet_core import __version__, models
from transposenet_core.atomic_files import write_atomically
from transposenet_core.backends.contract import BackendError, one_line, package
from transposenet_core.cache_folder import cache_folder
from transposenet_core.scene_model import SceneModel

OPSET = 17
FOLDER = "backends"  # below the scene model
SECRET = "backends.key"  # in the cache folder
MOST_FILES = 4  # in a folder: those of a few versions, or of a few read-only scene models
ABANDONED_S = 3600.0  # after which a file that was never finished belongs to nobody
BYTES = 32  # of that number
MOST_HASH_BYTES = 1000
MOST_BYTES = 2**31 - 1  # of one protocol buffer, which an ONNX file is
IMAGE = "image"  # the name of the input: (1, 3, H, W) float32, as `preprocessing.normalise` makes it


class _Convertible(nn.Module):
    """`PoseModel.convertible` as a module whose outputs are a tuple, in the order of ``names``."""

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.network, self.names = network, ()

    def forward(self, image_B3HW: torch.Tensor) -> tuple[torch.Tensor, ...]:
        output = self.network.convertible(image_B3HW)
        self.names = tuple(output)
        return tuple(output.values())


def exported(network: Any, image_size: tuple[int, int]) -> bytes:
    """The ONNX file's content: input `IMAGE` and the outputs of `PoseModel.convertible` by name, for one image:
    runtimes are faster where all sizes are known.

    BackendError where torch cannot export it, or the package onnx is missing.
    """
    package("onnx")
    height, width = image_size
    # Of a copy: the original may be in channels-last order or on a GPU, and its statistics stay as they are.
    module = _Convertible(copy.deepcopy(network).to("cpu", memory_format=torch.contiguous_format).eval())
    module.requires_grad_(False)
    image_13HW = torch.linspace(-2, 2, 3 * height * width).reshape(1, 3, height, width)
    try:
        with tempfile.TemporaryDirectory() as folder, torch.inference_mode(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of constants that tracing bakes in: the parity inputs decide
            module(image_13HW)  # names the outputs
            path = Path(folder) / "model.onnx"
            torch.onnx.export(
                module,
                (image_13HW,),
                str(path),
                dynamo=False,  # the other exporter needs a package more and takes five times as long
                opset_version=OPSET,
                input_names=[IMAGE],
                output_names=list(module.names),
            )
            return path.read_bytes()
    except (OnnxExporterError, OSError, RuntimeError, TypeError, ValueError) as error:
        raise BackendError(f"cannot run this network: {one_line(error)}") from None


def onnx_file(model: SceneModel, folder: Path) -> Path:
    """The exported file of the scene model in `folder`, from there, from the cache folder, or made now.

    BackendError as `exported`, and where neither of the two folders can be written to.
    """
    name, cache = f"{_key(model)}.onnx", cache_folder()
    # A link in a scene model from elsewhere would lead to a folder of its maker's choice.
    beside = None if (folder / FOLDER).is_symlink() else folder
    places = [place / FOLDER for place in (beside, cache) if place]
    for place in places:
        if _is_whole(place / name):
            return place / name
    data = exported(model.network, model.preprocessing.image_size)
    reason = "there is no cache folder"
    for place in places:
        try:
            place.mkdir(parents=True, exist_ok=True)
            with write_atomically(place / name) as path, write_atomically(_hash_file(place / name)) as second:
                path.write_bytes(data)
                second.write_text(json.dumps({"hmac_sha256": _keyed_hash(data)}))
            _remove_old(place)
            return place / name
        except OSError as error:
            reason = f"{place} cannot be written to ({error.strerror or error})"
    raise BackendError(f"has no place for its file: {reason}")


def _remove_old(place: Path) -> None:
    """All but the newest files, of earlier weights and versions, and what killed processes left."""
    with suppress(OSError):
        files = sorted(place.glob("[!.]*.onnx"), key=lambda path: path.stat().st_mtime, reverse=True)
        left = [path for path in place.glob(".*.partial*") if path.stat().st_mtime < time.time() - ABANDONED_S]
        for path in [*files[MOST_FILES:], *left]:
            path.unlink(missing_ok=True)
            _hash_file(path).unlink(missing_ok=True)


def _key(model: SceneModel) -> str:
    """Changes with everything that changes the file."""
    depends = {
        "weights": model.weights_sha256,
        "architecture": [model.architecture, model.options],
        "image_size": list(model.preprocessing.image_size),
        "versions": [__version__, torch.__version__, OPSET, _code_hash()],
    }
    return hashlib.sha256(json.dumps(depends, sort_keys=True).encode()).hexdigest()[:20]


@cache
def _code_hash() -> str:
    """Of the networks' own code: what it calculates may change between two versions."""
    files = sorted(Path(models.__file__).parent.glob("*.py"))
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:20]


def _hash_file(path: Path) -> Path:
    return path.with_suffix(".json")


def _is_whole(path: Path) -> bool:
    """Whether it is there as this user's programs wrote it."""
    try:
        if not path.is_file() or path.stat().st_size > MOST_BYTES or _hash_file(path).stat().st_size > MOST_HASH_BYTES:
            return False
        written = str(json.loads(_hash_file(path).read_text())["hmac_sha256"])
        return hmac.compare_digest(written, _keyed_hash(path.read_bytes()))
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _keyed_hash(data: bytes) -> str:
    return hmac.new(_secret(), data, "sha256").hexdigest()


def _secret() -> bytes:
    """This user's number, made at its first use; another each time where there is no cache to keep it in."""
    folder = cache_folder()
    if folder is None:
        return secrets.token_bytes(BYTES)
    path = folder / SECRET
    with suppress(OSError):
        if path.is_file() and len(found := path.read_bytes()) == BYTES:
            return found
        folder.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)  # cut short
        handle, name = tempfile.mkstemp(prefix=f".{SECRET}.", suffix=".partial", dir=folder)  # for its owner alone
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(secrets.token_bytes(BYTES))
            with suppress(FileExistsError):
                os.link(name, path)  # the first of several processes decides
        finally:
            Path(name).unlink()
        return path.read_bytes()
    return secrets.token_bytes(BYTES)

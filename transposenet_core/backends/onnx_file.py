"""The convertible part of a network as an ONNX file, made once and kept beside the scene model.

The file's name has a hash of everything that it depends on. It is written under another name and renamed, and its own
hash stands in a second file, keyed with a number that only this user's cache has: a file that is cut short, damaged, or
came with a scene model from elsewhere is made anew, and no runtime reads it.
"""

from __future__ import annotations

import copy
import hashlib
import hmac
import importlib.util
import json
import os
import secrets
import tempfile
import warnings
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.onnx import OnnxExporterError

from transposenet_core import __version__
from transposenet_core.atomic_files import write_atomically
from transposenet_core.backends.contract import BackendError
from transposenet_core.cache_folder import cache_folder
from transposenet_core.scene_model import SceneModel

OPSET = 17
FOLDER = "backends"  # below the scene model
SECRET = "backends.key"  # in the cache folder
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
    if importlib.util.find_spec("onnx") is None:
        raise BackendError("needs the Python package onnx, which is not installed")
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
        raise BackendError(f"cannot run this network: {' '.join(str(error).split())[:160]}") from None


def onnx_file(model: SceneModel, folder: Path) -> Path:
    """The exported file of the scene model in `folder`, from there, from the cache folder, or made now.

    BackendError as `exported`, and where neither of the two folders can be written to.
    """
    name = f"{_key(model)}.onnx"
    cache = cache_folder()
    places = [place / FOLDER for place in (folder, cache) if place]
    for place in places:
        if _is_whole(place / name):
            return place / name
    data = exported(model.network, model.preprocessing.image_size)
    reason = ""
    for place in places:
        try:
            place.mkdir(parents=True, exist_ok=True)
            with write_atomically(place / name) as path, write_atomically(_hash_file(place / name)) as beside:
                path.write_bytes(data)
                beside.write_text(json.dumps({"hmac_sha256": _keyed_hash(data)}))
            return place / name
        except OSError as error:
            reason = f"{place} cannot be written to ({error.strerror or error})"
    raise BackendError(f"has no place for its file: {reason}")


def _key(model: SceneModel) -> str:
    """Changes with everything that changes the file."""
    depends = {
        "weights": model.weights_sha256,
        "architecture": [model.architecture, model.options],
        "image_size": list(model.preprocessing.image_size),
        "versions": [__version__, torch.__version__, OPSET],
    }
    return hashlib.sha256(json.dumps(depends, sort_keys=True).encode()).hexdigest()[:20]


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
        return secrets.token_bytes(32)
    path = folder / SECRET
    with suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
        with (
            suppress(FileExistsError),
            os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as file,
        ):
            file.write(secrets.token_bytes(32))
        if len(found := path.read_bytes()) == 32:
            return found
    return secrets.token_bytes(32)

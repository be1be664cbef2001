"""Which back end runs a scene model: a fixed order of preference, and only one that gives the model's poses."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from transposenet_core.backends.contract import Backend, BackendError, TorchBackend
from transposenet_core.backends.onnx_file import onnx_file
from transposenet_core.backends.onnxruntime_backend import OnnxRuntimeBackend
from transposenet_core.backends.openvino_backend import OpenVinoBackend
from transposenet_core.errors import UserError
from transposenet_core.scene import unit_name
from transposenet_core.scene_model import Parity, SceneModel

VARIABLE = "TRANSPOSENET_BACKEND"
BACKENDS = ("auto", "torch", "onnxruntime", "openvino")
AUTO = ("openvino", "onnxruntime", "torch")  # on a CPU, the fastest first (docs/performance.md)
# How far poses may be from those of torch: metres (or this share of the scene's size), degrees.
MOST_M, MOST_DEG = 1e-3, 0.02
BEYOND = 3.0  # times what 95 % of the validation frames had: so far may poses in bfloat16 be from those in float32
RANDOM_IMAGES = 2  # instead of parity inputs, which models of earlier versions do not have


@dataclass(frozen=True)
class Chosen:
    """The back end, and a sentence for each that was preferred and refused."""

    backend: Backend
    refused: list[str] = field(default_factory=list)


def choose(model: SceneModel, folder: Path, device: torch.device, wanted: str) -> Chosen:
    """The back end `wanted`, or of `auto` the first that is installed and gives the poses of torch; on a GPU torch.
    The environment variable TRANSPOSENET_BACKEND takes the place of `auto`.

    UserError where another than `auto` was asked for and cannot be had.
    """
    named = f"backend '{wanted}'"
    if wanted == "auto" and (wanted := os.environ.get(VARIABLE) or "auto") != "auto":
        named = f"{VARIABLE}={wanted}"
    if wanted not in BACKENDS:
        raise UserError(f"{named} is unknown, allowed are: {', '.join(BACKENDS)}")
    if wanted in ("auto", "torch") and (device.type != "cpu" or not model.network.converts):
        return Chosen(TorchBackend(model.network))
    refused: list[str] = []
    for name in AUTO if wanted == "auto" else (wanted,):
        try:
            return Chosen(_started(name, model, folder, device), refused)
        except BackendError as error:
            refused.append(f"back end {name} {error}")
    raise UserError(f"{folder}: {refused[-1]}; take backend torch, or auto")


def _started(name: str, model: SceneModel, folder: Path, device: torch.device) -> Backend:
    """BackendError where it cannot run the model or its poses are others."""
    if name == "torch":
        return TorchBackend(model.network)
    if device.type != "cpu":
        raise BackendError(f"runs on the CPU only, and the device is {device}")
    if not model.network.converts:
        raise BackendError(f"has nothing to run in a model of {model.architecture} with these options")
    path, threads = onnx_file(model, folder), torch.get_num_threads()
    if name == "openvino" and model.bfloat16 and model.bfloat16.allowed:
        with suppress(BackendError):  # the processor lacks it, or the poses of these images are too far off
            lower = OpenVinoBackend(model.network, path, threads, "bfloat16")
            _check(lower, model, BEYOND * model.bfloat16.p95_m, BEYOND * model.bfloat16.p95_deg)
            return lower
    make: Callable[..., Backend] = {"onnxruntime": OnnxRuntimeBackend, "openvino": OpenVinoBackend}[name]
    backend = make(model.network, path, threads)
    _check(backend, model, MOST_M * _size(model), MOST_DEG)
    return backend


def _check(backend: Backend, model: SceneModel, most: float, most_deg: float) -> None:
    """BackendError where its poses of the parity inputs are not those of the scene model."""
    parity = model.parity or _of_random_images(model)
    try:
        away, degrees = parity.difference(backend)
    except RuntimeError as error:
        raise BackendError(f"fails: {' '.join(str(error).split())[:160]}") from None
    unit = unit_name(model.scenes[0].units)
    if not (away <= most and degrees <= most_deg):
        raise BackendError(
            f"gives other poses than torch: {away:.2g} {unit} and {degrees:.2g} deg apart, {most:.2g} {unit} and "
            f"{most_deg:.2g} deg are allowed"
        )


def _size(model: SceneModel) -> float:
    """By how much a millimetre of a room counts: 1 in metres; of another unit the spread of the frames."""
    if all(scene.units == "metres" for scene in model.scenes):
        return 1.0
    positions_N3 = np.concatenate([scene.frames.positions_N3 for scene in model.scenes])
    return float(np.linalg.norm(positions_N3.std(axis=0))) if len(positions_N3) > 1 else 1.0


def _of_random_images(model: SceneModel) -> Parity:
    height, width = model.preprocessing.image_size
    shape = (RANDOM_IMAGES, 3, height, width)
    image_P3HW = torch.randint(0, 256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    network: Any = model.network
    return Parity.of(network, network.state_dict(), image_P3HW)

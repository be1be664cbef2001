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

from transposenet_core.backends.contract import Backend, BackendError, TorchBackend, check_installed, one_line
from transposenet_core.backends.onnx_file import onnx_file
from transposenet_core.backends.onnxruntime_backend import OnnxRuntimeBackend
from transposenet_core.backends.openvino_backend import OpenVinoBackend
from transposenet_core.errors import UserError
from transposenet_core.preprocessing import normalise
from transposenet_core.scene import unit_name
from transposenet_core.scene_model import Parity, SceneModel

VARIABLE = "TRANSPOSENET_BACKEND"
BACKENDS = ("auto", "torch", "onnxruntime", "openvino")
AUTO = ("openvino", "onnxruntime", "torch")  # on a CPU, the fastest first (docs/performance.md)
PACKAGES = {"onnxruntime": ("onnx", "onnxruntime"), "openvino": ("onnx", "openvino")}
# How far poses may be from those of torch: metres (or this share of the scene's size), degrees; and by what share a
# standard deviation may be another.
MOST_M, MOST_DEG, MOST_SIGMA = 1e-3, 0.02, 0.02
BEYOND = 3.0  # times what 95 % of the validation frames had: so far may poses in bfloat16 be from those in float32
STEPS = 4  # of float32 at the size of the positions: no back end agrees to fewer
RANDOM_IMAGES = 2  # instead of parity inputs, which models of earlier versions do not have


@dataclass(frozen=True)
class Chosen:
    """The back end, and a sentence for each that was preferred and refused."""

    backend: Backend
    refused: list[str] = field(default_factory=list)


def choose(model: SceneModel, folder: Path, device: torch.device, wanted: str) -> Chosen:
    """The back end `wanted`, or of `auto` the first that is installed and gives the poses of torch; on a GPU torch.
    The environment variable TRANSPOSENET_BACKEND names the one that `auto` prefers to torch.

    UserError where another than `auto` was asked for and cannot be had.
    """
    if wanted not in BACKENDS:
        raise UserError(f"backend '{wanted}' is unknown, allowed are: {', '.join(BACKENDS)}")
    preferred = os.environ.get(VARIABLE) or "auto"
    if preferred not in BACKENDS:
        raise UserError(f"{VARIABLE}={preferred} is unknown, allowed are: {', '.join(BACKENDS)}")
    if wanted in ("auto", "torch") and (device.type != "cpu" or not model.network.converts):
        return Chosen(TorchBackend(model.network))
    order = (wanted,) if wanted != "auto" else AUTO if preferred == "auto" else (preferred, "torch")
    refused: list[str] = []
    for name in order:
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
    for needed in PACKAGES[name]:
        check_installed(needed)
    path, threads = onnx_file(model, folder), torch.get_num_threads()
    if name == "openvino" and model.bfloat16 and model.bfloat16.allowed:
        with suppress(BackendError):  # the processor lacks it, or the poses of these images are too far off
            lower = OpenVinoBackend(model.network, path, threads, "bfloat16")
            _check(lower, model, BEYOND * model.bfloat16.p95_m, BEYOND * model.bfloat16.p95_deg)
            return lower
    make: Callable[..., Backend] = {"onnxruntime": OnnxRuntimeBackend, "openvino": OpenVinoBackend}[name]
    backend = make(model.network, path, threads)
    _check(backend, model, _most(model), MOST_DEG, MOST_SIGMA)
    return backend


def _check(backend: Backend, model: SceneModel, most: float, most_deg: float, most_sigma: float = np.inf) -> None:
    """BackendError where its poses of the parity inputs are not those of the scene model, or it finds other scenes or
    other standard deviations than torch does now."""
    try:
        away, degrees = _parity_of(model).difference(backend)
        scenes, sigma = _against_torch(backend, model)
    except (RuntimeError, ValueError) as error:
        raise BackendError(f"fails: {one_line(error)}") from None
    unit = unit_name(model.scenes[0].units)
    if not (away <= most and degrees <= most_deg):
        raise BackendError(
            f"gives other poses than torch: {away:.2g} {unit} and {degrees:.2g} deg apart, {most:.2g} {unit} and "
            f"{most_deg:.2g} deg are allowed"
        )
    if not scenes:
        raise BackendError("finds another scene than torch")
    if not sigma <= most_sigma:
        raise BackendError(f"gives other covariances than torch: a deviation is {sigma:.0%} off")


@torch.inference_mode()
def _against_torch(backend: Backend, model: SceneModel) -> tuple[bool, float]:
    """Whether it finds the scenes that torch finds for the parity inputs, and the largest share by which a standard
    deviation is off; NaN where one is not finite."""
    off = [0.0]
    for image_3HW in _parity_of(model).image_P3HW:
        image_13HW = normalise(image_3HW[None])
        found = backend(image_13HW)
        if not {"scene", "covariance"} & set(found):
            return True, 0.0  # torch would take 40 MB for nothing
        expected = model.network(image_13HW)
        if "scene" in expected and not torch.equal(found["scene"], expected["scene"]):
            return False, 0.0
        if "covariance" in expected:
            variances = [output["covariance"].double().diagonal(dim1=1, dim2=2) for output in (found, expected)]
            off.append(float((variances[0] / variances[1]).sqrt().sub(1).abs().max()))
    return True, float(np.max(off))


def _most(model: SceneModel) -> float:
    """By how much a position may be another, in the scene's units: a millimetre; of another unit this share of the
    spread of the frames; in any case what float32 resolves at the size of the positions."""
    size = 1.0
    if any(scene.units != "metres" for scene in model.scenes):
        positions_N3 = np.concatenate([scene.frames.positions_N3 for scene in model.scenes])
        size = float(np.linalg.norm(positions_N3.std(axis=0))) if len(positions_N3) > 1 else 1.0
    largest = _parity_of(model).position_P3.abs().max().item()
    return max(MOST_M * size, STEPS * float(np.spacing(np.float32(largest))))


def _parity_of(model: SceneModel) -> Parity:
    """Its own, or poses of noise."""
    if model.parity is None:
        shape = (RANDOM_IMAGES, 3, *model.preprocessing.image_size)
        image_P3HW = torch.randint(0, 256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
        network: Any = model.network
        model.parity = Parity.of(network, network.state_dict(), image_P3HW)
    return model.parity

"""The interface of every back end."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable
from threading import Lock
from types import ModuleType
from typing import Any, Protocol

import numpy as np
import torch


class BackendError(Exception):
    """This back end cannot run this model here; the message is the end of a sentence that begins with its name."""


class Backend(Protocol):
    """Calling it is calling the network: normalised images (B, 3, H, W) float32 to the tensors of `OUTPUTS`.

    ``name`` is one of `BACKENDS`; ``precision`` is float32 or bfloat16.
    """

    name: str
    precision: str

    def __call__(self, image_B3HW: torch.Tensor) -> dict[str, torch.Tensor]: ...


class TorchBackend:
    """The network itself."""

    name, precision = "torch", "float32"

    def __init__(self, network: Any) -> None:
        self._network = network

    def __call__(self, image_B3HW: torch.Tensor) -> dict[str, torch.Tensor]:
        # The network is in this order, too.
        output: dict[str, torch.Tensor] = self._network(image_B3HW.contiguous(memory_format=torch.channels_last))
        return output


class ConvertedBackend:
    """The convertible part of a network in a runtime of its own, the rest in torch and NumPy.

    ``run`` takes one image (1, 3, H, W) float32 and returns the outputs in the order of ``names``, in memory that the
    next call may overwrite. Several nodes of one process share a back end, so calls wait for each other.
    """

    name = ""
    precision = "float32"

    def __init__(self, network: Any, run: Callable[[np.ndarray], list[np.ndarray]], names: list[str]) -> None:
        self._network, self._run, self._names = network, run, names
        self._lock = Lock()

    def __call__(self, image_B3HW: torch.Tensor) -> dict[str, torch.Tensor]:
        """RuntimeError where the runtime fails."""
        # Not torch's contiguous(), whose threads wait actively afterwards.
        rows = [
            self._one(np.ascontiguousarray(image_13HW)) for image_13HW in np.split(image_B3HW.numpy(), len(image_B3HW))
        ]
        arrays = rows[0] if len(rows) == 1 else [np.concatenate(parts) for parts in zip(*rows, strict=True)]
        outputs = {name: torch.from_numpy(array) for name, array in zip(self._names, arrays, strict=True)}
        finished: dict[str, torch.Tensor] = self._network.finished(outputs)
        return finished

    def _one(self, image_13HW: np.ndarray) -> list[np.ndarray]:
        with self._lock:
            return [array.copy() for array in self._run(image_13HW)]


def package(name: str) -> ModuleType:
    """The Python package. BackendError where it is not installed or cannot be imported."""
    check_installed(name)
    try:
        return importlib.import_module(name)
    except (ImportError, OSError) as error:  # a library of the system that it needs, a file that is damaged
        raise BackendError(f"needs the Python package {name}, which fails to import ({one_line(error)})") from None


def check_installed(name: str) -> None:
    """BackendError where the Python package is not installed; it is not imported, which may take a second."""
    if importlib.util.find_spec(name) is None:
        raise BackendError(f"needs the Python package {name}, which is not installed")


def one_line(error: Exception) -> str:
    """The beginning of its message."""
    return " ".join(str(error).split())[:160]

"""The interface of every back end."""

from __future__ import annotations

from collections.abc import Callable
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
        output: dict[str, torch.Tensor] = self._network(image_B3HW)
        return output


class ConvertedBackend:
    """The convertible part of a network in a runtime of its own, the rest in torch and NumPy.

    ``run`` takes one image (1, 3, H, W) float32 and returns the outputs in the order of ``names``.
    """

    name = ""
    precision = "float32"

    def __init__(self, network: Any, run: Callable[[np.ndarray], list[np.ndarray]], names: list[str]) -> None:
        self._network, self._run, self._names = network, run, names

    def __call__(self, image_B3HW: torch.Tensor) -> dict[str, torch.Tensor]:
        image_B3HW = image_B3HW.contiguous()
        rows = [self._run(image_B3HW[k : k + 1].numpy()) for k in range(len(image_B3HW))]
        arrays = rows[0] if len(rows) == 1 else [np.concatenate(parts) for parts in zip(*rows, strict=True)]
        outputs = {name: torch.from_numpy(array) for name, array in zip(self._names, arrays, strict=True)}
        finished: dict[str, torch.Tensor] = self._network.finished(outputs)
        return finished

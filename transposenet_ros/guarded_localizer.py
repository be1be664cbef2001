"""A localizer that survives a GPU out of memory: one retry, then the CPU or a named failure."""

from __future__ import annotations

import gc
from collections.abc import Callable
from pathlib import Path
from threading import Lock
from typing import Any, TypeVar
from weakref import WeakValueDictionary

import numpy as np
import torch

from transposenet_core.errors import UserError
from transposenet_core.estimate import Estimate
from transposenet_core.localizer import Localizer, choose_device
from transposenet_core.scene_model import DESCRIPTION, WEIGHTS, SceneModel

T = TypeVar("T")
_loaded: WeakValueDictionary[tuple, Localizer] = WeakValueDictionary()
_loading = Lock()


class DeviceFailedError(UserError):
    """The device can no longer hold or run the network, and the policy allows no other."""


class GuardedLocalizer:
    """`Localizer`, loaded and warmed up, whose device may run out of memory then or at any frame
    (``on_device_error``: cpu or error).

    ``note`` is a sentence on an unexpected device: no CUDA with `auto`, or a fallback to the CPU, which
    ``fallback_reason`` holds as well. UserError as of `Localizer`; DeviceFailedError where the policy is error or the
    CPU failed as well. Several may share one `Localizer`, each in its own thread.
    """

    def __init__(
        self,
        path: Path,
        device: str,
        on_device_error: str,
        warn: Callable[[str], None],
        backend: str = "auto",
        refine: str = "auto",
    ) -> None:
        self._policy, self._log_warning = on_device_error, warn
        self._on_cpu = lambda: _ready(path, "cpu", backend, refine)
        self.note = self.fallback_reason = ""
        chosen = choose_device(device, backend)
        if device == "auto" and chosen.type == "cpu" and backend in ("auto", "torch"):
            self.note = "device 'auto' found no CUDA and runs on the CPU"  # as most robots do: no warning
        # The weights alone may be too many for the device.
        self._localizer = self._twice(chosen, lambda: _ready(path, chosen.type, backend, refine)) or self._on_cpu()

    @property
    def scene_model(self) -> SceneModel:
        return self._localizer.scene_model

    @property
    def device(self) -> torch.device:
        return self._localizer.device

    @property
    def backend_name(self) -> str:
        return self._localizer.backend_name

    @property
    def refused_backends(self) -> list[str]:
        return self._localizer.refused_backends

    @property
    def refines(self) -> bool:
        return self._localizer.refines

    @property
    def keyframes(self) -> int:
        """How many there are that poses are refined against; 0 where they are not."""
        known = [scene.keyframes.count for scene in self.scene_model.scenes if scene.keyframes]
        return sum(known) if self.refines else 0

    def localize(self, image_HW3: np.ndarray, **options: Any) -> Estimate:
        estimate = self._twice(self.device, lambda: self._localizer.localize(image_HW3, **options))
        if estimate is None:
            self._localizer = self._on_cpu()
            estimate = self._localizer.localize(image_HW3, **options)
        return estimate

    def _twice(self, device: torch.device, work: Callable[[], T]) -> T | None:
        """What `work` returns, if need be at its second try; None where the CPU is to do it instead."""
        reason = ""
        for _ in range(2):
            try:
                return work()
            except RuntimeError as error:  # out of memory has a type of its own in torch, but not in CUDA's libraries
                if not isinstance(error, torch.OutOfMemoryError) and "out of memory" not in str(error):
                    raise
                reason = " ".join(str(error).split())[:120]
            gc.collect()
            if device.type == "cuda":
                torch.cuda.empty_cache()
        trouble = f"{device} ran out of memory twice ({reason})"
        if self._policy == "error" or device.type == "cpu":
            raise DeviceFailedError(
                f"{trouble} and parameter 'on_device_error' is '{self._policy}'; free its memory, or clean up the node "
                "and set 'device' or 'on_device_error' to cpu"
            )
        self.note = self.fallback_reason = f"{trouble}; running on the CPU from now on"
        self._log_warning(self.note)
        return None


def _ready(path: Path, device: str, backend: str, refine: str) -> Localizer:
    """Warmed up: the one that another node of the process uses for the same files, or a new one. Unused ones are
    freed."""
    files = [path / name for name in (DESCRIPTION, WEIGHTS)]
    written = [(file.stat().st_mtime_ns, file.stat().st_size) if file.is_file() else None for file in files]
    key = (path.resolve(), device, backend, refine, *written)
    with _loading:
        if key in _loaded:
            gc.collect()  # or it might find one that is no longer used and not freed yet
        localizer = _loaded.get(key)
        if localizer is None:
            localizer = Localizer(path, device=device, backend=backend, refine=refine)
            localizer.warm_up()
            _loaded[key] = localizer
        return localizer

"""A localizer that outlives its GPU: one retry, then the CPU or a named failure."""

from __future__ import annotations

import gc
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch

from transposenet_core.estimate import Estimate
from transposenet_core.localizer import Localizer
from transposenet_core.scene_model import SceneModel

T = TypeVar("T")


class DeviceFailedError(Exception):
    """The device cannot hold or run the network any more, and the policy allows no other."""


class GuardedLocalizer:
    """`Localizer` whose device may fail (``on_device_error``: cpu or error), at warm-up or at any frame.

    ``note`` says in one sentence what the user did not ask for: no CUDA where `auto` looked for it, or a fall to the
    CPU, which is ``fallen`` as well. UserError as of `Localizer`; DeviceFailedError where the policy is error or
    the CPU failed as well.
    """

    def __init__(self, path: Path, device: str, on_device_error: str, warn: Callable[[str], None]) -> None:
        self._path, self._policy, self._warn = path, on_device_error, warn
        self.note = self.fallen = ""
        self._localizer = Localizer(path, device=device)
        if device == "auto" and self._localizer.device.type == "cpu":
            self._say("device 'auto' found no CUDA and runs on the CPU; set device to 'cpu' where that is meant")
        self._guarded(lambda localizer: localizer.warm_up())

    @property
    def scene_model(self) -> SceneModel:
        return self._localizer.scene_model

    @property
    def device(self) -> torch.device:
        return self._localizer.device

    def localize(self, image_HW3: np.ndarray, **options: Any) -> Estimate:
        return self._guarded(lambda localizer: localizer.localize(image_HW3, **options))

    def _guarded(self, work: Callable[[Localizer], T]) -> T:
        for _ in range(2):
            try:
                return work(self._localizer)
            except torch.OutOfMemoryError as error:
                reason = " ".join(str(error).split())[:120]
            gc.collect()
            if self._localizer.device.type == "cuda":
                torch.cuda.empty_cache()
        if self._policy == "error" or self._localizer.device.type == "cpu":
            raise DeviceFailedError(f"{self._localizer.device} ran out of memory twice ({reason})")
        self.fallen = f"{self._localizer.device} ran out of memory twice ({reason}); running on the CPU from now on"
        self._say(self.fallen)
        self._localizer = Localizer(self._path, device="cpu")
        return work(self._localizer)

    def _say(self, note: str) -> None:
        self.note = note
        self._warn(note)

"""The node's own main beside a GPU that is none, and out of memory as often as `failures.json` in the model says.

It stands in for what the test machine lacks; the network runs on the CPU. `{"load": 1, "localize": 2}`: the next load
and the next two images fail.
"""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch

from transposenet_core.localizer import Localizer, choose_device
from transposenet_ros import guarded_localizer
from transposenet_ros.localizer_node import main


class PretendedLocalizer:
    """`Localizer` with a device of any name."""

    def __init__(self, path: Path, device: str, backend: str, refine: str) -> None:
        self.device, self._failures = torch.device(device), Path(path) / "failures.json"
        self._maybe_fail("load")
        self._localizer = Localizer(path, device="cpu", refine=refine)
        self.scene_model = self._localizer.scene_model
        self.backend_name, self.refused_backends = self._localizer.backend_name, self._localizer.refused_backends
        self.refines = False

    def warm_up(self) -> None:
        self.localize(np.full((64, 96, 3), 128, np.uint8))

    def localize(self, image_HW3: np.ndarray, **options: Any) -> Any:
        self._maybe_fail("localize")
        return self._localizer.localize(image_HW3, **options)

    def _maybe_fail(self, work: str) -> None:
        left = json.loads(self._failures.read_text())
        if self.device.type == "cuda" and left.get(work, 0):
            self._failures.write_text(json.dumps({**left, work: left[work] - 1}))
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB.\nGPU 0 has none left.")


if __name__ == "__main__":
    guarded_localizer.Localizer = PretendedLocalizer  # type: ignore[assignment, misc]
    guarded_localizer.choose_device = lambda device, backend: (
        torch.device("cuda") if device in ("auto", "cuda") else choose_device(device)
    )
    sys.exit(main())

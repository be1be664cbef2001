"""What runs a network: torch, or a faster runtime on a CPU, which has to give the same poses.

`choose` is the entrance: model -> exported file (`onnx_file`) -> runtime (`onnxruntime_backend`, `openvino_backend`) ->
parity with the poses stored in the scene model -> `Backend`. A runtime that cannot run a model, or gives other poses,
is refused with a reason, and the next one is taken.
"""

from __future__ import annotations

from transposenet_core.backends.choice import BACKENDS, Chosen, choose
from transposenet_core.backends.contract import Backend

__all__ = ["BACKENDS", "Backend", "Chosen", "choose"]

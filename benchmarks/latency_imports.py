"""What every process of `benchmarks.latency` imports: loaded once, in the process that they are forked from."""

from __future__ import annotations

from contextlib import suppress

import efficientnet_pytorch  # noqa: F401
import torch  # noqa: F401

from benchmarks import latency  # noqa: F401
from transposenet_core import localizer  # noqa: F401

with suppress(ImportError):
    import onnxruntime  # noqa: F401
with suppress(ImportError):
    import openvino  # noqa: F401

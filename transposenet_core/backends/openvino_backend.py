"""OpenVINO on a CPU, in float32 or, where the processor has it, bfloat16."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np

from transposenet_core.backends.contract import BackendError, ConvertedBackend
from transposenet_core.backends.onnx_file import IMAGE

PRECISIONS = {"float32": "f32", "bfloat16": "bf16"}


class OpenVinoBackend(ConvertedBackend):
    """BackendError where it is not installed, does not take the file, or the processor lacks the precision."""

    name = "openvino"

    def __init__(self, network: Any, path: Path, threads: int, precision: str = "float32") -> None:
        if importlib.util.find_spec("openvino") is None:
            raise BackendError("needs the Python package openvino, which is not installed")
        import openvino

        self.precision = precision
        try:
            core = openvino.Core()
            if precision == "bfloat16" and "BF16" not in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
                raise BackendError("has no bfloat16 on this processor")
            settings = {
                "INFERENCE_PRECISION_HINT": PRECISIONS[precision],
                "INFERENCE_NUM_THREADS": threads,
                "PERFORMANCE_HINT": "LATENCY",
                "NUM_STREAMS": 1,
            }
            compiled = core.compile_model(core.read_model(str(path)), "CPU", settings)
        except RuntimeError as error:
            raise BackendError(f"cannot read {path}: {' '.join(str(error).split())[:160]}") from None
        request = compiled.create_infer_request()

        def run(image_13HW: np.ndarray) -> list[np.ndarray]:
            found = request.infer({IMAGE: image_13HW}, share_inputs=True)
            return [found[k].copy() for k in range(len(compiled.outputs))]  # the next call writes into the same memory

        # An output also has the name of the operation that makes it, such as /out/Add_output_0.
        names = [next(filter(str.isidentifier, output.get_names())) for output in compiled.outputs]
        super().__init__(network, run, names)

"""OpenVINO on a CPU, in float32 or, where the processor has it, bfloat16."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from transposenet_core.backends.contract import BackendError, ConvertedBackend, one_line, package
from transposenet_core.backends.onnx_file import IMAGE

PRECISIONS = {"float32": "f32", "bfloat16": "bf16"}


class OpenVinoBackend(ConvertedBackend):
    """BackendError where it is not installed, does not take the file, or the processor lacks the precision."""

    name = "openvino"

    def __init__(self, network: Any, path: Path, threads: int, precision: str = "float32") -> None:
        openvino: Any = package("openvino")
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
            raise BackendError(f"cannot read {path}: {one_line(error)}") from None
        request = compiled.create_infer_request()

        def run(image_13HW: np.ndarray) -> list[np.ndarray]:
            found = request.infer({IMAGE: image_13HW}, share_inputs=True)
            return [found[k] for k in range(len(compiled.outputs))]

        # An output also has the name of the operation that makes it, such as /out/Add_output_0.
        names = [next(filter(str.isidentifier, output.get_names())) for output in compiled.outputs]
        super().__init__(network, run, names)

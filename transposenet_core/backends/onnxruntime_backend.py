"""ONNX Runtime on a CPU."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import numpy as np

from transposenet_core.backends.contract import BackendError, ConvertedBackend, one_line, package
from transposenet_core.backends.onnx_file import IMAGE


class OnnxRuntimeBackend(ConvertedBackend):
    """BackendError where it is not installed or does not take the file."""

    name = "onnxruntime"

    def __init__(self, network: Any, path: Path, threads: int) -> None:
        ort: Any = package("onnxruntime")
        # Its errors have no common class.
        raised = vars(importlib.import_module("onnxruntime.capi.onnxruntime_pybind11_state")).values()
        errors = tuple(each for each in raised if isinstance(each, type) and issubclass(each, Exception))
        options = ort.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        # Threads that wait actively between images take the cores that decode and publish.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = 3
        try:
            session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except errors as error:
            raise BackendError(f"cannot read {path}: {one_line(error)}") from None
        names = [output.name for output in session.get_outputs()]

        def run(image_13HW: np.ndarray) -> list[np.ndarray]:
            try:
                found: list[np.ndarray] = session.run(names, {IMAGE: image_13HW})
                return found
            except errors as error:
                raise RuntimeError(f"ONNX Runtime: {one_line(error)}") from None

        super().__init__(network, run, names)

"""ONNX Runtime on a CPU."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

from transposenet_core.backends.contract import BackendError, ConvertedBackend
from transposenet_core.backends.onnx_file import IMAGE


class OnnxRuntimeBackend(ConvertedBackend):
    """BackendError where it is not installed or does not take the file."""

    name = "onnxruntime"

    def __init__(self, network: Any, path: Path, threads: int) -> None:
        if importlib.util.find_spec("onnxruntime") is None:
            raise BackendError("needs the Python package onnxruntime, which is not installed")
        import onnxruntime as ort
        from onnxruntime.capi import onnxruntime_pybind11_state as raised

        options = ort.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        # Threads that wait actively between images take the cores that decode and publish.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = 3
        # Its errors have no common class.
        errors = tuple(each for each in vars(raised).values() if isinstance(each, type) and issubclass(each, Exception))
        try:
            session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except errors as error:
            raise BackendError(f"cannot read {path}: {' '.join(str(error).split())[:160]}") from None
        names = [output.name for output in session.get_outputs()]
        super().__init__(network, lambda image_13HW: session.run(names, {IMAGE: image_13HW}), names)

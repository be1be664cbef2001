"""The option --backend, and a localizer started with it."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transposenet_core.localizer import Localizer

BACKENDS = ("auto", "torch", "onnxruntime", "openvino")  # those of `backends`, which imports torch; a test compares


def add_backend_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--backend", default="auto", choices=BACKENDS, help="what runs the network; auto: the fastest that is installed"
    )


def start_localizer(model: Path, device: str, backend: str) -> Localizer:
    """With a line on stderr for each back end that was preferred and refused. UserError as of `Localizer`."""
    from transposenet_core.localizer import Localizer

    localizer = Localizer(model, device=device, backend=backend)
    for sentence in localizer.refused_backends:
        print(f"note: {sentence}", file=sys.stderr)
    return localizer

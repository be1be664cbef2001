"""The options --backend and --refine, and a localizer started with them."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transposenet_core.localizer import Localizer

BACKENDS = ("auto", "torch", "onnxruntime", "openvino")  # those of `backends`, which imports torch; a test compares
REFINE = ("auto", "on", "off")  # those of `refinement_stage`, likewise


def add_backend_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--backend", default="auto", choices=BACKENDS, help="what runs the network; auto: the fastest that is installed"
    )
    parser.add_argument(
        "--refine", default="auto", choices=REFINE, help="poses against keyframes; auto: where the model has some"
    )


def start_localizer(model: Path, device: str, backend: str, refine: str = "auto") -> Localizer:
    """With a line on stderr for each back end that was preferred and refused. UserError as of `Localizer`."""
    from transposenet_core.localizer import Localizer

    localizer = Localizer(model, device=device, backend=backend, refine=refine)
    for sentence in localizer.refused_backends:
        print(f"note: {sentence}", file=sys.stderr)
    return localizer

"""The reference network that speeds are compared with: a Python file that is given on the command line."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

from transposenet_core.errors import UserError


def load_yardstick(path: Path) -> ModuleType:
    """The module in the file. UserError where there is none or it has no `Net`."""
    spec = importlib.util.spec_from_file_location("yardstick", path) if path.is_file() else None
    if spec is None or spec.loader is None:
        raise UserError(f"--yardstick {path}: no such Python file; give the one with the reference network")
    module = importlib.util.module_from_spec(spec)
    arguments, sys.argv = sys.argv, sys.argv[:1]  # it reads them, too
    try:
        spec.loader.exec_module(module)
    finally:
        sys.argv = arguments
    if not hasattr(module, "Net"):
        raise UserError(f"--yardstick {path}: it has no network Net; give the file with the reference network")
    return module

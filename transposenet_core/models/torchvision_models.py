"""Networks of torchvision, an optional dependency: imported only when one is requested."""

from __future__ import annotations

import importlib
from typing import Any

import torch

from transposenet_core.errors import UserError


def torchvision_model(name: str, backbone: str, instead: str, **options: Any) -> Any:
    """torchvision's network `name` with random weights, for our `backbone`. UserError, which names what to choose
    `instead`, if torchvision cannot be imported.

    A torchvision that was built for another torch raises RuntimeError or AttributeError at import.
    """
    try:
        build = getattr(importlib.import_module("torchvision.models"), name)
    except (ImportError, RuntimeError, AttributeError, OSError) as error:
        reason = " ".join(str(error).split())[:120]
        raise UserError(
            f"backbone {backbone} needs a torchvision that fits torch {torch.__version__}, and importing it gave "
            f"'{reason}'; pip install transposenet_ros[torchvision] (torch and torchvision from the same place), or "
            f"choose the backbone {instead}"
        ) from None
    return build(weights=None, **options)

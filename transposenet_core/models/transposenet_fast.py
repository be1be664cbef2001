"""TransPoseNet with fewer tokens: the same two encoders for robots without a GPU.

In each encoder 8 learned tokens attend to the cells of the map; the cells are never updated. Four layers instead of
six, dropout on the residual branches only. The other way to fewer tokens, ``latents=0, orientation_stride=2`` (a
quarter of the cells), was measured for comparison: docs/experiments/redkitchen.md.
"""

from __future__ import annotations

from typing import Any, ClassVar

from transposenet_core.models.transposenet import TransPoseNet


class TransPoseNetFast(TransPoseNet):
    """TransPoseNet with other defaults. Options are TransPoseNet's."""

    DEFAULTS: ClassVar[dict[str, Any]] = {"layers": 4, "mlp_dropout": 0.0, "latents": 8}

    def __init__(self, **options: Any) -> None:
        super().__init__(**(self.DEFAULTS | options))

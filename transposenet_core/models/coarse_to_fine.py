"""Coarse to fine: the multi-scene transformer with clusters of each scene's poses, classified and then refined.

Section III-C of the paper. K-means of the training labels gives the centres, which are part of the weights; training
refines in the cluster of the true pose, inference in the likeliest one. Inference uses nothing derived from a label.
"""

from __future__ import annotations

from typing import Any, ClassVar

from transposenet_core.models.multiscene_transformer import MultiSceneTransformer


class CoarseToFine(MultiSceneTransformer):
    """MultiSceneTransformer with as many clusters as the paper has for 7-Scenes; for Cambridge Landmarks it has 4 and
    4. Options are MultiSceneTransformer's."""

    DEFAULTS: ClassVar[dict[str, Any]] = {"position_clusters": 1, "orientation_clusters": 2}

    def __init__(self, **options: Any) -> None:
        super().__init__(**(self.DEFAULTS | options))

"""Coarse to fine: the multi-scene transformer with clusters of each scene's poses, classified and then refined.

Section III-C of the paper. K-means of the training labels gives the centres, which are part of the weights; training
refines the true pose's cluster, running the likeliest one. Nothing derived from a label is read when running.
"""

from __future__ import annotations

from functools import partial

from transposenet_core.models.multiscene_transformer import MultiSceneTransformer

# As many clusters as the paper has for 7-Scenes; for Cambridge Landmarks it has 4 and 4.
CoarseToFine = partial(MultiSceneTransformer, position_clusters=1, orientation_clusters=2)

"""Centres of a scene's poses: k-means of positions and of orientations, robust to labels that are far off.

Coarse-to-Fine Multi-Scene Pose Regression with Transformers (Shavit, Ferens, Keller, 2023), section III-C.
"""

from __future__ import annotations

import warnings

import numpy as np
import torch

from transposenet_core.geometry.pose_averaging import mean_orientation

OUTLIER_SHARE, OUTLIER_FACTOR = 0.1, 10.0


def plausible_positions(positions_N3: np.ndarray) -> np.ndarray:
    """Which positions (N,) lie within the scene: at most 10 times as far from the median as nine tenths of them do.

    One row of the Cambridge lists is 3e9 m away and would become a separate cluster.
    """
    away_N = np.linalg.norm(positions_N3 - np.median(positions_N3, axis=0), axis=1)
    return away_N <= OUTLIER_FACTOR * np.quantile(away_N, 1 - OUTLIER_SHARE) + 1e-9


def position_clusters(positions_N3: np.ndarray, clusters: int) -> np.ndarray:
    """Centres (K, 3) in metres. ValueError if the positions are too few for the clusters."""
    labels_N = _k_means(positions_N3, clusters, "position")
    return np.stack([positions_N3[labels_N == k].mean(axis=0) for k in range(clusters)])


def orientation_clusters(orientations_N4: np.ndarray, clusters: int) -> np.ndarray:
    """Centres (K, 4), unit quaternions w x y z with w >= 0. ValueError as of `position_clusters`.

    The distance is that of ``q q^T``, in which q and -q are one rotation.
    """
    unit_N4 = orientations_N4 / np.linalg.norm(orientations_N4, axis=1, keepdims=True)
    labels_N = _k_means(np.einsum("ni,nj->nij", unit_N4, unit_N4).reshape(-1, 16), clusters, "orientation")
    members = [torch.from_numpy(unit_N4[labels_N == k])[None] for k in range(clusters)]
    return torch.cat([mean_orientation(member) for member in members]).numpy()


def _k_means(features_ND: np.ndarray, clusters: int, what: str) -> np.ndarray:
    """The cluster (N,) of each row; the same every time."""
    if clusters == 1:
        return np.zeros(len(features_ND), int)
    different = len(np.unique(features_ND.round(6), axis=0))
    if different < clusters:
        raise ValueError(
            f"{clusters} {what} clusters are asked for, the training frames have {different} different {what}s; "
            f"set model.options.{what}_clusters to at most {different}"
        )
    from sklearn.cluster import KMeans  # takes a second to import, and no other model needs it

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about empty clusters, which are refused below
        labels_N = KMeans(clusters, n_init=10, random_state=0).fit_predict(features_ND)
    if (full := len(np.unique(labels_N))) < clusters:
        raise ValueError(
            f"{clusters - full} of {clusters} {what} clusters stay empty; set model.options.{what}_clusters to {full}"
        )
    return labels_N

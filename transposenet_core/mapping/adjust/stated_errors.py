"""How sure a recording is of its poses, as it states itself or its user does."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from transposenet_core.mapping.adjust import rounds
from transposenet_core.mapping.adjust.recorded import RecordedModel
from transposenet_core.scene import PosedImage


def stated_covariances(
    images: Sequence[PosedImage], pose_sigma: tuple[float, float] | None
) -> tuple[np.ndarray | None, str]:
    """Covariances (N, 6, 6) of the recorded poses, None where they are to be estimated, and where they come from.

    `pose_sigma` is one sigma of an axis in the map's units and degrees; it comes before the recording's own.
    """
    if pose_sigma is not None:
        position, rotation_deg = pose_sigma
        return rounds.isotropic(len(images), position, np.radians(rotation_deg)), "--pose-sigma"
    covariances = [image.covariance_66 for image in images]
    stated = [c for c in covariances if c is not None]
    if stated and len(stated) == len(covariances):
        # A filter that never moves an axis states a sigma of zero for it.
        least_66 = np.diag([1e-3**2] * 3 + [np.radians(0.05) ** 2] * 3)
        return _no_negative(np.array(stated)) + least_66, "the recording's covariances"
    return None, "estimated from the recording"


def _no_negative(covariance_N66: np.ndarray) -> np.ndarray:
    """The nearest covariances (N, 6, 6) to tables of numbers that may be none: without negative variances."""
    variance_N6, axes_N66 = np.linalg.eigh(covariance_N66)
    wrong_N = variance_N6.min(axis=1) < 0
    nearest_N66 = (axes_N66 * np.maximum(variance_N6, 0)[:, None]) @ axes_N66.swapaxes(1, 2)
    return np.where(wrong_N[:, None, None], nearest_N66, covariance_N66)


def believed(model: RecordedModel, stated_N66: np.ndarray | None) -> tuple[float, float]:
    """Errors of the recorded poses, one sigma of an axis: as stated, else as estimated; units of the map, degrees."""
    if stated_N66 is None:
        return model.position_sigma, float(np.degrees(model.rotation_sigma))
    variance_N23 = np.diagonal(stated_N66, axis1=1, axis2=2).reshape(-1, 2, 3)
    position, rotation = np.sqrt(np.median(variance_N23.mean(axis=2), axis=0))
    return float(position), float(np.degrees(rotation))

"""The cells of `scene_coordinates` of one image in NumPy: what `SceneCoordinates._cells` and `_measured` are in torch.

The arrays are so small that torch spends its time on calls, and the threads of its exponential function wait actively
afterwards, which takes a core from the next image's network: together a quarter of a pass. A test holds both equal.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from transposenet_core.geometry.contraction import FARTHEST, Contraction


@dataclass(frozen=True)
class OneImageCells:
    """``points`` (N, 3) in the map, ``depth``, ``log_scale`` and ``depth_log_scale`` (N,) as of `forward`, float64; the
    points in the camera's frame (N, 3), their variance per axis (N,) and that along their rays (N,)."""

    points_N3: np.ndarray
    depth_N: np.ndarray
    log_scale_N: np.ndarray
    depth_log_scale_N: np.ndarray
    p_camera_N3: np.ndarray
    variance_N: np.ndarray
    ray_variance_N: np.ndarray


def one_image_cells(
    numbers_N6: np.ndarray,
    contraction: Contraction,
    units: float,
    log_scales: tuple[float, float],
    centre_3: np.ndarray,
    ray_N3: np.ndarray,
) -> OneImageCells:
    """From the network's ``numbers``, the typical depth in ``units``, the limits of the scales' logarithms, the
    scene's centre and the rays of the cells."""
    unit, reach = contraction.unit, contraction.reach
    numbers_N6 = numbers_N6.astype(np.float64)
    with np.errstate(all="ignore"):  # a network whose numbers are not finite has no pose, and that is reported
        vector_N3, depth_N = unit * numbers_N6[:, :3], unit * units * np.exp(numbers_N6[:, 3] / 2)
        scale_N2 = np.clip(numbers_N6[:, 4:], *log_scales) + math.log(unit)
        across_N = along_N = deeper_N = np.ones(len(numbers_N6))
        if not math.isinf(reach):
            near_N = np.maximum(_length(vector_N3) / reach, 1)
            vector_N3 = vector_N3 / (near_N * np.maximum(2 - near_N, 1 / FARTHEST))[:, None]
            share_N = reach / np.maximum(_length(vector_N3), reach)
            across_N, along_N = 1 / (share_N * (2 - share_N)), share_N**-2
            deeper_N = np.maximum(depth_N / reach, 1) ** 2
        contracted_N = 2 / 3 * np.exp(2 * scale_N2[:, 0])
        more_N = contracted_N * (along_N**2 - across_N**2) / np.einsum("ni,ni->n", ray_N3, ray_N3)
        return OneImageCells(
            vector_N3 + centre_3,
            depth_N,
            scale_N2[:, 0],
            scale_N2[:, 1],
            ray_N3 * depth_N[:, None],
            contracted_N * across_N**2,
            2 * np.exp(2 * scale_N2[:, 1]) * deeper_N**2 + more_N,
        )


def _length(vector_N3: np.ndarray) -> np.ndarray:
    return np.sqrt(np.einsum("ni,ni->n", vector_N3, vector_N3))

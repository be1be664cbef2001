"""What the two encoders attend to: how far apart their maps are, and whether they lie on corners or on edges.

TransPoseNet (sections 1 and 4.2, Figure 3) claims that the position encoder attends to corners, the orientation encoder
to long edges.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from scipy.spatial.distance import jensenshannon
from scipy.stats import rankdata

from transposenet_core.localizer import Localizer

BRANCHES = ("position", "orientation")
RESPONSES = ("corners", "edges", "corners | edges", "edges | corners")
NEIGHBOURHOOD, SOBEL = 3, 3  # pixels of the image as the network sees it


@dataclass(frozen=True, eq=False)
class AttentionFigures:
    """Of one image: the Jensen-Shannon distance (base 2: 0 for equal maps, 1 for maps that share no cell), and the
    rank correlation (2, 4) of each encoder's map, BRANCHES, with each of RESPONSES."""

    distance: float
    correlation_24: np.ndarray


def attention_figures(localizer: Localizer, image_HW3: np.ndarray) -> AttentionFigures | None:
    """Figures of the last layer's attention in an (H, W, 3) uint8 RGB image, or None where the model has none."""
    attention = localizer.localize(image_HW3, with_attention=True).attention
    if not set(BRANCHES) <= set(attention):
        return None
    seen_HW3 = localizer.scene_model.preprocessing.seen(image_HW3)
    return compare(attention["position"], attention["orientation"], seen_HW3)


def compare(position_HW: np.ndarray, orientation_HW: np.ndarray, seen_HW3: np.ndarray) -> AttentionFigures:
    """Figures of two attention maps over the window `seen_HW3` (uint8 RGB), all on the coarser of their two grids.

    Ranks are correlated, because attention has a few large values. Corners also have gradients, so either response is
    also correlated with the other one's part removed from the ranks ("corners | edges").
    """
    grid = tuple(map(min, position_HW.shape, orientation_HW.shape))
    maps = [on_grid(map_HW, grid).ravel() for map_HW in (position_HW, orientation_HW)]
    corners, edges = (rankdata(on_grid(response_HW, grid)) for response_HW in responses(seen_HW3))
    rows = []
    for values in map(rankdata, maps):
        of_corners, of_edges = _correlation(values, corners), _correlation(values, edges)
        common = _correlation(corners, edges)
        rows.append(
            [of_corners, of_edges, _partial(of_corners, of_edges, common), _partial(of_edges, of_corners, common)]
        )
    return AttentionFigures(float(jensenshannon(*maps, base=2)), np.array(rows))


def responses(image_HW3: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How much each pixel looks like a corner, the smaller eigenvalue of the structure tensor (Shi and Tomasi, "Good
    features to track", 1994), and like an edge, the length of the gradient; (H, W) each."""
    grey_HW = cv2.cvtColor(image_HW3, cv2.COLOR_RGB2GRAY).astype(np.float32) / 255
    corners_HW = cv2.cornerMinEigenVal(grey_HW, NEIGHBOURHOOD, ksize=SOBEL)
    across, down = (cv2.Sobel(grey_HW, cv2.CV_32F, dx, 1 - dx, ksize=SOBEL) for dx in (1, 0))
    return np.maximum(corners_HW, 0), np.hypot(across, down)  # rounding makes some just below 0


def on_grid(map_HW: np.ndarray, grid: tuple[int, ...]) -> np.ndarray:
    """Means over the cells of a grid (rows, columns) that divides the map evenly, or is the map's own."""
    return cv2.resize(np.asarray(map_HW, np.float64), (grid[1], grid[0]), interpolation=cv2.INTER_AREA)


def _correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Of ranks; 0 where one of them is constant."""
    a, b = a.ravel() - a.mean(), b.ravel() - b.mean()
    scale = np.linalg.norm(a) * np.linalg.norm(b)
    return float(a @ b / scale) if scale > 0 else 0.0


def _partial(of_this: float, of_other: float, common: float) -> float:
    """The correlation with this, given that with the other one and theirs with each other."""
    scale = np.sqrt(max(1 - of_other**2, 0) * max(1 - common**2, 0))
    return float((of_this - of_other * common) / scale) if scale > 1e-9 else 0.0


def summary(figures: list[AttentionFigures]) -> str:
    """Means over images with their standard errors, and whether the paper's claim holds, in words."""
    distances = np.array([figure.distance for figure in figures])
    correlation_N24 = np.stack([figure.correlation_24 for figure in figures])
    apart = f"{_mean_and_spread(distances)} (0 equal, 1 nothing in common), {len(figures)} images"
    lines = [
        f"Jensen-Shannon distance between the two maps: {apart}",
        f"{'rank correlation with':<24}" + "".join(f"{name:>18}" for name in RESPONSES),
    ]
    for number, branch in enumerate(BRANCHES):
        row = "".join(f"{_mean_and_spread(correlation_N24[:, number, column]):>18}" for column in range(len(RESPONSES)))
        lines.append(f"{branch:<24}{row}")
    # Position minus orientation, image by image: the paper has it above 0 for corners and below for edges.
    apart_N4 = correlation_N24[:, 0] - correlation_N24[:, 1]
    lines.append(f"{'difference':<24}" + "".join(f"{_mean_and_spread(column):>18}" for column in apart_N4.T))
    claims = (
        ("position attends more to corners", apart_N4[:, 2]),
        ("orientation attends more to edges", -apart_N4[:, 3]),
    )
    return "\n".join([*lines, *(f"{claim} than the other: {_verdict(values)}" for claim, values in claims)])


def _mean(values: np.ndarray) -> tuple[float, float]:
    """Mean and its standard error, which is infinite for a single image."""
    error = values.std(ddof=1) / np.sqrt(len(values)) if len(values) > 1 else np.inf
    return float(values.mean()), float(error)


def _mean_and_spread(values: np.ndarray) -> str:
    mean, error = _mean(values)
    return f"{mean:+.3f}" + (f" +- {error:.3f}" if np.isfinite(error) else "")


def _verdict(values: np.ndarray) -> str:
    mean, error = _mean(values)
    if abs(mean) <= 2 * error:
        return "undecided (within two standard errors)"
    return "holds here" if mean > 0 else "does not hold here, the opposite does"

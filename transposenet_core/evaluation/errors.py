"""Errors of estimated poses against ground truth, their statistics, and the predictions file."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from transposenet_core.atomic_files import write_atomically
from transposenet_core.errors import UserError
from transposenet_core.estimate import Estimate
from transposenet_core.geometry.pose import Pose, rotation_angle_deg, stack
from transposenet_core.scene import unit_name

PREDICTION_COLUMNS = ["image", "x", "y", "z", "qw", "qx", "qy", "qz", "sigma_x", "sigma_y", "sigma_z"]
PREDICTION_COLUMNS += ["localized", "backend", "refined"]
RECALLS = ((0.05, 5.0), (0.10, 5.0), (0.25, 10.0))


@dataclass(frozen=True)
class ErrorSummary:
    """Figures over `count` frames; NaN where there are none. Recalls are shares in 0..1. Of a scene in arbitrary units
    what is called metres is in those, and recalls mean nothing."""

    count: int
    median_m: float
    median_deg: float
    p95_m: float
    p95_deg: float
    mean_m: float
    mean_deg: float
    recall_5cm_5deg: float
    recall_10cm_5deg: float
    recall_25cm_10deg: float

    def to_dict(self, units: str = "metres") -> dict:
        """With None for NaN, which JSON does not have; without recalls, which are in metres, where `units` are none."""
        figures = {key: None if math.isnan(value) else value for key, value in asdict(self).items()}
        return {key: value for key, value in figures.items() if units == "metres" or not key.startswith("recall_")}


def pose_errors(estimates: Sequence[Pose], ground_truth_poses: Sequence[Pose]) -> tuple[np.ndarray, np.ndarray]:
    """Distance (N,) in metres and angle (N,) in degrees between poses of the same frames."""
    if len(estimates) != len(ground_truth_poses):
        raise ValueError(f"{len(estimates)} estimates for {len(ground_truth_poses)} ground-truth poses")
    position_e, orientation_e = stack(list(estimates))
    position_t, orientation_t = stack(list(ground_truth_poses))
    return np.linalg.norm(position_e - position_t, axis=1), rotation_angle_deg(orientation_e, orientation_t)


def summarise(metres_N: np.ndarray, degrees_N: np.ndarray) -> ErrorSummary:
    if len(metres_N) == 0:
        return ErrorSummary(0, *[float("nan")] * 9)
    figures: list[float] = []
    for reduce in (np.median, lambda values: np.percentile(values, 95), np.mean):
        figures += [float(reduce(metres_N)), float(reduce(degrees_N))]
    recalls = [float(np.mean((metres_N <= m) & (degrees_N <= d))) for m, d in RECALLS]
    return ErrorSummary(len(metres_N), *figures, *recalls)


def write_predictions(path: str | Path, names: Iterable[str], estimates: Iterable[Estimate]) -> None:
    """One line per image (camera-to-map, metres, quaternion w x y z); UserError for an estimate without a pose."""
    with write_atomically(path) as temporary, open(temporary, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(PREDICTION_COLUMNS)
        for name, estimate in zip(names, estimates, strict=True):
            if estimate.pose is None:
                raise UserError(f"{name}: the model returned no finite pose, so {path} cannot be written; train again")
            sigma = np.sqrt(np.diag(estimate.covariance_66)[:3])
            numbers = [*estimate.pose.position, *estimate.pose.orientation, *sigma]
            writer.writerow(
                [
                    name,
                    *(repr(float(number)) for number in numbers),
                    int(estimate.localized),
                    estimate.backend,
                    int(estimate.refined),
                ]
            )
        file.flush()


def table(rows: dict[str, ErrorSummary], units: str = "metres") -> str:
    """The figures of several methods as aligned text; of positions that are no metres without the recalls."""
    width, unit, metric = max(map(len, rows), default=0), unit_name(units), units == "metres"
    titles = " ".join(f"{title:{17 + len(unit)}s}" for title in ("median", "p95", "mean"))
    lines = [(f"{'':{width}s} frames  {titles}" + " 5cm5deg 10cm5deg 25cm10deg" * metric).rstrip()]
    for name, s in rows.items():
        pairs = ((s.median_m, s.median_deg), (s.p95_m, s.p95_deg), (s.mean_m, s.mean_deg))
        errors = " ".join(f"{metres:6.3f} {unit} {degrees:6.2f} deg" for metres, degrees in pairs)
        recalls = f" {s.recall_5cm_5deg:7.1%} {s.recall_10cm_5deg:8.1%} {s.recall_25cm_10deg:9.1%}" * metric
        lines.append(f"{name:{width}s} {s.count:6d} {errors}{recalls}")
    return "\n".join(lines)

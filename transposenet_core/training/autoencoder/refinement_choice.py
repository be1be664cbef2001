"""Choice of neighbours and ridge of the test-time optimisation, on held-out frames."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from transposenet_core.models.pose_autoencoder import PoseAutoencoder

NEIGHBOURS = (3, 5, 10, 20, 40)  # the paper takes 3
RIDGES = (0.001, 0.01, 0.1, 1.0, 10.0)


@dataclass(frozen=True)
class Choice:
    """Neighbours (0: none) and ridge, and the reason."""

    neighbours: int
    ridge: float
    sentence: str


@torch.no_grad()
def choose_refinement(
    network: PoseAutoencoder,
    latents: dict[str, torch.Tensor],
    position_N3: torch.Tensor,
    held_out: bool,
    unit: str = "m",
) -> Choice:
    """The values with the lowest median error among `NEIGHBOURS` and `RIDGES`, or none if the teacher's is lower.

    `latents` are the teacher's, `position_N3` the ground truth. Configured values are kept: neighbours other than -1, a
    -1, a ridge other than 0; `unit` is that of positions. Without held-out frames there is nothing to choose by, and it
    is off unless given.
    """
    given, ridge = network.neighbours, network.ridge

    def median(neighbours: int, ridge: float) -> float:
        network.neighbours, network.ridge = neighbours, ridge
        away_N3 = network.poses_from_latents(latents)["position"] - position_N3
        return float(np.median(torch.linalg.vector_norm(away_N3, dim=-1).cpu().numpy()))  # as in validation

    teacher = median(0, 0.0)
    if given == 0:
        return Choice(0, 0.0, "test-time optimisation: off")
    if not held_out and (given < 0 or not ridge):
        return Choice(0, 0.0, "test-time optimisation: off, since no frames were held out to choose it")
    if network.most_neighbours < min(NEIGHBOURS) and given < 0:
        return Choice(0, 0.0, f"test-time optimisation: off, there are only {network.most_neighbours} training poses")
    counts = [given] if given > 0 else [count for count in NEIGHBOURS if count <= network.most_neighbours]
    tried = {(count, r): median(count, r) for count in counts for r in ([ridge] if ridge else RIDGES)}
    best = min(tried, key=lambda pair: tried[pair])
    figures = f"median {tried[best]:.4f} {unit} against the teacher's {teacher:.4f} {unit}"
    if given < 0 and tried[best] >= teacher:
        return Choice(0, 0.0, f"test-time optimisation: off, the best combination has {figures}")
    return Choice(*best, f"test-time optimisation: {best[0]} neighbours, ridge {best[1]:g}: {figures}")

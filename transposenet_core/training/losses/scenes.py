"""The loss of several scenes and their clusters (Coarse-to-Fine Multi-Scene Pose Regression, sections III-B and III-C).

The pose loss of the output for the true scene and cluster, and the negative log-likelihood of the scene, of the
position's cluster and of the orientation's. With only one scene or cluster its term is 0.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from transposenet_core.training.losses.labels import Labels


class SceneLoss(nn.Module):
    """`pose` is the loss of position and orientation; the network's centres determine the cluster of a label."""

    position_centre_SKP: torch.Tensor
    orientation_centre_SKP: torch.Tensor

    def __init__(self, pose: nn.Module, network: Any) -> None:
        super().__init__()
        self.pose = pose
        terms = ["loss", "position", "orientation"] + ["scene"] * (network.scenes > 1)
        for name in ("position", "orientation"):
            self.register_buffer(f"{name}_centre_SKP", getattr(network, name).centre_SKP.clone(), persistent=False)
            terms += [f"{name}_cluster"] * (getattr(network, name).clusters > 1)
        self.TERMS = tuple(terms)

    def forward(self, output: dict[str, torch.Tensor], labels: Labels) -> dict[str, torch.Tensor]:
        """``loss`` beside Eq. 3 and 4 of the output for the true scene and the log-likelihoods."""
        position_B3, orientation_B4, _, scene_B = labels
        rows_B = torch.arange(len(position_B3), device=position_B3.device)
        away_BK = torch.linalg.vector_norm(self.position_centre_SKP[scene_B] - position_B3[:, None], dim=-1)
        x_cluster_B = away_BK.argmin(dim=-1)
        along_BK = torch.einsum("bkp,bp->bk", self.orientation_centre_SKP[scene_B], orientation_B4)
        q_cluster_B = along_BK.abs().argmax(dim=-1)
        # The sign of the label that is nearer to its centre: Eq. 4 depends on it.
        backwards_B = along_BK[rows_B, q_cluster_B] < 0
        orientation_B4 = torch.where(backwards_B[:, None], -orientation_B4, orientation_B4)
        chosen = {
            "position": output["cluster_positions"][rows_B, scene_B, x_cluster_B],
            "orientation": output["cluster_orientations"][rows_B, scene_B, q_cluster_B],
        }
        likelihoods = {
            "scene": F.nll_loss(output["scene_log_probability"], scene_B),
            "position_cluster": F.nll_loss(output["position_cluster_log_probability"][rows_B, scene_B], x_cluster_B),
            "orientation_cluster": F.nll_loss(
                output["orientation_cluster_log_probability"][rows_B, scene_B], q_cluster_B
            ),
        }
        terms = self.pose(chosen, labels._replace(orientation_B4=orientation_B4)) | likelihoods
        terms["loss"] = terms["loss"] + sum(likelihoods.values())
        return {name: terms[name] for name in self.TERMS}
